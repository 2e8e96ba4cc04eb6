"""Talks to one exposed meter with the dlms-cosem library and prints what came of each check as JSON.

usage: dlms_cosem_client.py [HOST PORT] < settings.json

The settings are what `common.py` describes. The library ciphers in the general form only, reads profiles by range but
not by entry, and cannot send long ciphered requests. The exit code is 0 when every check could be carried out, whatever
the meter answered; what the answers should be is for the caller to say.
"""

import logging
import sys

import structlog
from dlms_cosem import cosem, dlms_data, enumerations, exceptions, utils
from dlms_cosem import time as dlms_time
from dlms_cosem.client import DlmsClient
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.enumerations import CosemInterface
from dlms_cosem.hdlc.exceptions import LocalProtocolError
from dlms_cosem.hdlc.frames import HDLC_FLAG
from dlms_cosem.io import BlockingTcpIO, HdlcTransport, TcpTransport
from dlms_cosem.protocol import acse, xdlms
from dlms_cosem.security import (
    HighLevelSecurityGmacAuthentication,
    LowLevelSecurityAuthentication,
    NoSecurityAuthentication,
)

import common

TIMEOUT_S = 20


class RecordingIO(BlockingTcpIO):
    """Keeps the octets sent last, so that they can be sent again."""

    def send(self, data):
        self.last_sent = bytes(data)
        super().send(data)


class Hdlc(HdlcTransport):
    """Ends a frame whose last check octet is 0x7E.

    The library's own takes the flag after such an octet for the beginning of another frame, and waits for its end.
    """

    def recv_frame(self):
        octets = self.io.recv_until(HDLC_FLAG)
        if octets == HDLC_FLAG and not self.hdlc_connection.buffer:
            octets += self.io.recv_until(HDLC_FLAG)
        return octets


def transport_of(settings, sap, io):
    framing = settings.get("framing", {"kind": "wrapper"})
    if framing["kind"] == "hdlc":
        return Hdlc(
            client_logical_address=sap,
            server_logical_address=settings["server_sap"],
            server_physical_address=framing["physical"],
            io=io,
            timeout=TIMEOUT_S,
        )
    return TcpTransport(sap, settings["server_sap"], io, TIMEOUT_S)


class Session:
    """One association on its own connection."""

    def __init__(self, settings, role, **changed):
        self.settings = settings
        role = dict(settings[role], **changed)
        self.io = RecordingIO(settings["host"], settings["port"], TIMEOUT_S)
        options = {}
        if "encryption" in role:
            options = {
                "authentication": HighLevelSecurityGmacAuthentication(challenge_length=16),
                "encryption_key": bytes.fromhex(role["encryption"]),
                "authentication_key": bytes.fromhex(role["authentication"]),
                "client_system_title": bytes.fromhex(settings["client_title"]),
                "client_initial_invocation_counter": role.get("counter", 1),
            }
        elif "password" in role:
            options = {"authentication": LowLevelSecurityAuthentication(bytes.fromhex(role["password"]))}
        else:
            options = {"authentication": NoSecurityAuthentication()}
        transport = transport_of(settings, role["sap"], self.io)
        self.client = DlmsClient(transport, timeout=TIMEOUT_S, **options)

    def __enter__(self):
        self.client.connect()
        try:
            self.client.associate()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.client.disconnect()
        except exceptions.CommunicationError:
            pass  # The meter was first.
        except LocalProtocolError:
            # An answer is outstanding, and the library says nothing more over HDLC: what went wrong is to be told, not this.
            self.io.disconnect()

    def get(self, interface, name, attribute, selection=None):
        wanted = cosem.CosemAttribute(interface, obis(name), attribute)
        return utils.parse_as_dlms_data(self.client.get(wanted, selection))

    def get_many(self, *wanted):
        items = [
            cosem.CosemAttributeWithSelection(cosem.CosemAttribute(interface, obis(name), attribute), None)
            for interface, name, attribute in wanted
        ]
        return self.client.get_many(items)

    def act(self, interface, name, method, data):
        return self.client.action(cosem.CosemMethod(interface, obis(name), method), data)


def obis(text):
    return cosem.Obis(*(int(part) for part in text.split(".")))


def instant(octets):
    moment, _ = dlms_time.datetime_from_bytes(bytes(octets))
    return common.instant(moment)


def identity(session):
    return bytes(session.get(CosemInterface.DATA, "0.0.42.0.0.255", 2)).decode()


def clock(session):
    return instant(session.get(CosemInterface.CLOCK, "0.0.1.0.0.255", 2))


def register(session):
    name = session.settings["register"]
    scaler, unit = session.get(CosemInterface.REGISTER, name, 3)
    return {"value": session.get(CosemInterface.REGISTER, name, 2), "scaler": 10**scaler, "unit": unit}


def register_by_list(session):
    """Identity and register in one request."""
    name = session.settings["register"]
    response = session.get_many((CosemInterface.DATA, "0.0.42.0.0.255", 2), (CosemInterface.REGISTER, name, 2))
    results = getattr(response, "response_data", None) or response.result
    return [getattr(each, "data", each) for each in map(plain, results)]


def plain(result):
    value = getattr(result, "value", result)
    if isinstance(value, (bytes, bytearray)):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            return bytes(value).hex()
    return value


def object_list(session):
    found = session.get(CosemInterface.ASSOCIATION_LN, "0.0.40.0.0.255", 2)
    return {"count": len(found), "names": sorted({".".join(str(part) for part in each[2]) for each in found})}


def by_range(session):
    start, end = common.profile_range(session.settings)
    restricting = CaptureObject(cosem.CosemAttribute(CosemInterface.CLOCK, obis("0.0.1.0.0.255"), 2))
    selection = RangeDescriptor(restricting, start, end)
    rows = session.get(CosemInterface.PROFILE_GENERIC, session.settings["profile"]["obis"], 2, selection)
    return [[instant(row[0]), row[1]] for row in rows]


def by_blocks(session):
    """The whole profile: far more than one APDU."""
    rows = session.get(CosemInterface.PROFILE_GENERIC, session.settings["profile"]["obis"], 2)
    return {"rows": len(rows), "first": instant(rows[0][0]), "last": instant(rows[-1][0])}


def next_counter(settings):
    with Session(settings, "public") as session:
        return session.get(CosemInterface.DATA, "0.0.43.1.0.255", 2)


def supply(session, approval):
    if approval:
        # Class of our own: no name for it in the library.
        session.act(0x8000, "0.0.128.0.0.255", 1, dlms_data.OctetStringData(bytes.fromhex(approval)).to_bytes())
    script = session.settings["critical"].get("script", 1)
    session.act(CosemInterface.SCRIPT_TABLE, "0.0.10.0.106.255", 1, dlms_data.UnsignedLongData(script).to_bytes())
    return supply_state(session)


def supply_state(session):
    return session.get(CosemInterface.DISCONNECT_CONTROL, "0.0.96.3.10.255", 3)


def replay(session):
    """Sends the last request's very octets again."""
    identity(session)
    session.io.send(session.io.last_sent)
    return session.client.transport.recv_response().hex()


def released(session):
    """Releases the association and tries to go on."""
    identity(session)
    response = session.client.release_association()
    return isinstance(response, acse.ReleaseResponse)


def association(settings, role):
    """A ciphered association with a counter that the meter will take."""
    counter = settings[role].get("counter")
    if counter is None:
        counter = next_counter(settings) if role == "management" else 1
    for _ in range(2):
        session = Session(settings, role, counter=counter)
        session.client.connect()
        sent = session.client.dlms_connection.get_aarq()
        session.client.send(sent)
        answer = bytes(session.client.dlms_connection.buffer)
        if answer[:1] != b"\xd8":
            # Start over in the library's own way, with a counter that was not used.
            session.close()
            session = Session(settings, role, counter=counter + 1)
            session.__enter__()
            return session
        session.close()
        counter = xdlms.ExceptionResponse.from_bytes(answer).invocation_counter_data
    raise RuntimeError("no acceptable counter")


def wrong_key(settings):
    changed = {"authentication": "00" * 16, "counter": next_counter(settings)}
    with Session(settings, "management", **changed):
        return "associated"


def wrong_password(settings):
    with Session(settings, "reader", password="00" * 16):
        return "associated"


def checks(settings):
    def on(role, act):
        with Session(settings, role) as session:
            return act(session)

    def ciphered(role, act):
        session = association(settings, role)
        try:
            return act(session)
        finally:
            session.close()

    yield "public identity", lambda: on("public", identity)
    yield "public clock", lambda: on("public", clock)
    yield "public counter", lambda: next_counter(settings)
    yield "public register", lambda: on("public", register)
    yield "public release", lambda: on("public", released)
    yield "reader identity", lambda: on("reader", identity)
    yield "reader register", lambda: on("reader", register)
    yield "reader register by list", lambda: on("reader", register_by_list)
    yield "reader profile by range", lambda: on("reader", by_range)
    yield "reader wrong password", lambda: wrong_password(settings)
    yield "management identity", lambda: ciphered("management", identity)
    yield "management clock", lambda: ciphered("management", clock)
    yield "management register", lambda: ciphered("management", register)
    yield "management object list", lambda: ciphered("management", object_list)
    yield "management profile by range", lambda: ciphered("management", by_range)
    yield "management profile by blocks", lambda: ciphered("management", by_blocks)
    yield "management release", lambda: ciphered("management", released)
    yield "management wrong key", lambda: wrong_key(settings)
    yield "management replay", lambda: ciphered("management", replay)
    yield "management supply", lambda: ciphered("management", lambda session: supply(session, None))
    if "critical" in settings:
        yield "critical supply without approval", lambda: ciphered("critical", lambda s: supply(s, None))
    if settings.get("critical", {}).get("approval"):
        approval = settings["critical"]["approval"]
        yield "critical supply with approval", lambda: ciphered("critical", lambda s: supply(s, approval))
        yield "critical supply with used approval", lambda: ciphered("critical", lambda s: supply(s, approval))


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sys.exit(common.run(checks, sys.argv[1:]))
