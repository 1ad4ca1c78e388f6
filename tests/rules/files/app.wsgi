import os, tempfile
def application(environ, start_response):
    pairs = [(name, value) for name, value in environ.items() if "." not in name and isinstance(value, str)]
    handle, path = tempfile.mkstemp(dir="@DIR@/seen", prefix="wsgi.")
    with open(path.replace("wsgi.", "body."), "wb") as file:
        file.write(environ["wsgi.input"].read())
    with open(handle, "wb") as file:
        file.write(b"".join(f"{name}={value}\0".encode("latin-1") for name, value in pairs))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"WSGI\\n"]
