"""User files: judged here as the real server judges them."""

from __future__ import annotations

import base64
import socket

import pytest

from auditor import passwords
from auditor.files import Files, FileWorld
from auditor.passwords import check_hash, decode_basic, verify
from auditor.source import SourceFile
from auditor.world import Question
from probes.runners import local

# All of "secret". Written by Apache's htpasswd, OpenSSL and libxcrypt, none by our own code.
HASHES = {
    "apr1": "$apr1$saltsalt$mLoTeXKhwcUWD61Q6eAB80",
    "apr1 of a short salt": "$apr1$ab$APR1_SHORT",
    "md5": "$1$saltsalt$MD5",
}
