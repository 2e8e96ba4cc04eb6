"""Settings and output that the interoperability scripts share.

Settings, as JSON on standard input:

    {"host": "127.0.0.1", "port": 4059,          # or as arguments
     "server_sap": 1,
     "framing": {"kind": "wrapper"},             # or {"kind": "hdlc", "physical": 17, "information": 128},
                                                 # or {"kind": "hub-tunnel", "device": "…"}; gurux only
     "client_title": "5331535030303031",         # eight octets in hex, as all keys below are hex
     "public": {"sap": 16},
     "reader": {"sap": 17, "password": "…"},
     "management": {"sap": 1, "encryption": "…", "authentication": "…", "counter": 1},   # counter: optional
     "critical": {"sap": 2, "encryption": "…", "authentication": "…", "approval": "…", "script": 1},
     "register": "1.0.1.8.0.255",
     "image": {"octets": "…", "hash": "…", "approval": "…"},                             # optional; gurux only
     "profile": {"obis": "1.0.99.1.0.255", "from": "2019-06-30T00:00:00Z", "to": "2019-06-30T02:00:00Z"},
     "only": ["public identity"]}                # optional: names of checks to run

`critical` and its `approval` may be left out; the checks that need them are then left out too.

Output, as JSON on standard output: {"library": "…", "checks": [{"name": "…", "ok": true, "value": …} or
{"name": "…", "ok": false, "error": "…", "kind": "…"}]}.
"""

import contextlib
import datetime
import io
import json
import sys


def profile_range(settings):
    parse = lambda text: datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return parse(settings["profile"]["from"]), parse(settings["profile"]["to"])


def instant(value):
    """Any library's idea of a date and time as ISO 8601 in UTC."""
    value = getattr(value, "value", value)
    if value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc)
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


def run(checks, arguments):
    settings = json.load(sys.stdin)
    if len(arguments) == 2:
        settings["host"], settings["port"] = arguments[0], int(arguments[1])
    elif arguments:
        print(f"usage: {sys.argv[0]} [HOST PORT] < settings.json", file=sys.stderr)
        return 2
    only = settings.get("only")
    results = []
    for name, check in checks(settings):
        if only and name not in only:
            continue
        try:
            # A library that prints must not spoil the output.
            with contextlib.redirect_stdout(io.StringIO()):
                value = check()
            results.append({"name": name, "ok": True, "value": value})
        except Exception as error:  # A refusal is a result; the caller judges it.
            results.append({"name": name, "ok": False, "error": str(error), "kind": type(error).__name__})
    json.dump({"library": sys.argv[0].rsplit("/", 1)[-1].removesuffix("_client.py"), "checks": results}, sys.stdout, indent=1)
    print()
    return 0
