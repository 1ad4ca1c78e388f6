"""The compose stack: the origin behind real proxies, brought up, asked, and taken down."""
