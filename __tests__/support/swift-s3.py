"""Lets in what the s3api of OpenStack Swift verifies, and refuses the rest as S3 does. Prints its port."""

import eventlet
from eventlet import wsgi
from swift.common import swob
from swift.common.middleware.s3api.s3request import SigV4Request
from swift.common.middleware.s3api.s3response import ErrorResponse, InvalidAccessKeyId, SignatureDoesNotMatch

KEYS = {"AKIDEXAMPLE": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}


def app(env, start_response):
    try:
        request = SigV4Request(env)
        if request.access_key not in KEYS:
            raise InvalidAccessKeyId(request.access_key)
        if not request.check_signature(KEYS[request.access_key]):
            raise SignatureDoesNotMatch()
        # Reading compares the body with x-amz-content-sha256.
        if env["REQUEST_METHOD"] in ("PUT", "POST"):
            env["wsgi.input"].read()
    except (ErrorResponse, swob.HTTPException) as refusal:
        return refusal(env, start_response)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [] if env["REQUEST_METHOD"] == "HEAD" else [b'{"ok":true}']


listener = eventlet.listen(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
wsgi.server(listener, app, log_output=False, capitalize_response_headers=False)
