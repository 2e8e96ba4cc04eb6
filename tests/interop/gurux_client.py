"""Talks to one exposed meter with the gurux-dlms library and prints what came of each check as JSON.

usage: gurux_client.py [HOST PORT] < settings.json

The settings are what `common.py` describes. The exit code is 0 when every check could be carried out, whatever the
meter answered; what the answers should be is for the caller to say.
"""

import socket
import sys
import time

from gurux_dlms import GXByteBuffer, GXDateTime, GXDLMSException, GXReplyData
from gurux_dlms.GXDLMSExceptionResponse import GXDLMSExceptionResponse
from gurux_dlms.enums import Authentication, DataType, ErrorCode, InterfaceType, ObjectType, Security
from gurux_dlms.internal._GXCommon import _GXCommon
from gurux_dlms.objects import (
    GXDLMSClock,
    GXDLMSData,
    GXDLMSDisconnectControl,
    GXDLMSImageTransfer,
    GXDLMSProfileGeneric,
    GXDLMSRegister,
    GXDLMSScriptTable,
)
from gurux_dlms.secure import GXDLMSSecureClient

import common

TIMEOUT_S = 20


class Session:
    """One association on its own connection."""

    def __init__(self, settings, role, **changed):
        self.settings = settings
        self.role = dict(settings[role], **changed)
        self.socket = socket.create_connection((settings["host"], settings["port"]), TIMEOUT_S)
        self.buffer = b""
        self.last_sent = b""
        if "encryption" in self.role:
            authentication = Authentication.HIGH_GMAC
        elif "password" in self.role:
            authentication = Authentication.LOW
        else:
            authentication = Authentication.NONE
        self.framing = framing_of(settings)
        self.client = GXDLMSSecureClient(
            True, self.role["sap"], self.framing.server(settings), authentication, None, self.framing.interface
        )
        if authentication == Authentication.LOW:
            self.client.password = bytes.fromhex(self.role["password"])
        if authentication == Authentication.HIGH_GMAC:
            ciphering = self.client.ciphering
            ciphering.systemTitle = bytes.fromhex(settings["client_title"])
            ciphering.blockCipherKey = bytes.fromhex(self.role["encryption"])
            ciphering.authenticationKey = bytes.fromhex(self.role["authentication"])
            ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            ciphering.invocationCounter = self.role.get("counter", 1)

    def __enter__(self):
        self.associate()
        return self

    def __exit__(self, *_):
        self.socket.close()

    def associate(self):
        reply = GXReplyData()
        for packet in self.framing.connect(self.client):
            self.exchange(packet, reply)
            self.client.parseUAResponse(reply.data)
        for packet in self.client.aarqRequest():
            self.exchange(packet, reply)
        self.client.parseAareResponse(reply.data)
        if self.client.getIsAuthenticationRequired():
            reply = GXReplyData()
            for packet in self.client.getApplicationAssociationRequest():
                self.exchange(packet, reply)
            self.client.parseApplicationAssociationResponse(reply.data)

    def release(self):
        reply = GXReplyData()
        for packet in self.client.releaseRequest():
            self.exchange(packet, reply)
        for packet in self.framing.disconnect(self.client):
            self.exchange(packet, reply)

    def frame(self):
        """The next whole frame, as the library wants it."""
        while (length := self.framing.length(self.buffer)) is None or len(self.buffer) < length:
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("the meter closed the connection")
            self.buffer += received
        frame, self.buffer = self.buffer[:length], self.buffer[length:]
        return self.framing.unwrap(frame)

    def exchange(self, packet, reply):
        reply.clear()
        reply.error = 0
        self.send(packet)
        self.receive(reply)
        while reply.isMoreData():
            self.send(self.client.receiverReady(reply))
            self.receive(reply)

    def send(self, packet):
        self.last_sent = self.framing.wrap(bytes(packet), self.role["sap"])
        self.socket.sendall(self.last_sent)

    def receive(self, reply):
        notify = GXReplyData()
        data = GXByteBuffer(self.frame())
        while not self.client.getData(data, reply, notify):
            data.set(self.frame())
        if reply.error != 0:
            raise GXDLMSException(reply.error)

    def read(self, item, attribute):
        reply = GXReplyData()
        for packet in self.client.read(item, attribute):
            self.exchange(packet, reply)
        return self.client.updateValue(item, attribute, reply.value)

    def rows(self, packets, profile):
        reply = GXReplyData()
        for packet in packets:
            self.exchange(packet, reply)
        return self.client.updateValue(profile, 2, reply.value)

    def act(self, item, method, value, kind):
        reply = GXReplyData()
        for packet in self.client.method(item, method, value, kind):
            self.exchange(packet, reply)
        return reply.value

    def profile(self):
        profile = GXDLMSProfileGeneric(self.settings["profile"]["obis"])
        self.read(profile, 3)
        return profile

    def rows_by_range(self, start, end):
        profile = self.profile()
        rows = self.rows(self.client.readRowsByRange(profile, start, end), profile)
        return [[common.instant(row[0]), row[1]] for row in rows]


class Wrapper:
    """The TCP wrapper."""

    interface = InterfaceType.WRAPPER

    def server(self, settings):
        return settings["server_sap"]

    def connect(self, _):
        return []

    disconnect = connect

    def length(self, octets):
        return 8 + int.from_bytes(octets[6:8], "big") if len(octets) >= 8 else None

    def wrap(self, packet, _):
        return packet

    def unwrap(self, frame):
        return frame

    def apdu(self, frame):
        return frame[8:]


class Hdlc(Wrapper):
    """HDLC over TCP, with a link connection for every association."""

    interface = InterfaceType.HDLC

    def __init__(self, settings):
        self.physical = settings["physical"]
        self.information = settings.get("information", 128)

    def server(self, settings):
        return GXDLMSSecureClient.getServerAddress(settings["server_sap"], self.physical)

    def connect(self, client):
        client.hdlcSettings.maxInfoTX = client.hdlcSettings.maxInfoRX = self.information
        return [client.snrmRequest()]

    def disconnect(self, client):
        return [client.disconnectRequest()]

    def length(self, octets):
        # Flag, format with eleven bits of length, and a flag at the end.
        return 2 + (int.from_bytes(octets[1:3], "big") & 0x7FF) if len(octets) >= 3 else None

    def apdu(self, frame):
        return frame


class HubTunnel(Wrapper):
    """The hub's header in front of every APDU, with the device's identity and a check sequence."""

    interface = InterfaceType.PDU
    HEADER = 2 + 1 + 1 + 2 + 8 + 1 + 2

    def __init__(self, settings):
        self.device = bytes.fromhex(settings["device"])
        self.number = 0

    def length(self, octets):
        if len(octets) < self.HEADER:
            return None
        return self.HEADER + int.from_bytes(octets[self.HEADER - 2 : self.HEADER], "big") + 2

    def wrap(self, packet, sap):
        self.number += 1
        head = b"LT\x01\x02" + self.number.to_bytes(2, "big") + self.device + bytes([sap])
        frame = head + len(packet).to_bytes(2, "big") + packet
        return frame + check(frame)

    def unwrap(self, frame):
        if frame[:4] != b"LT\x01\x03" or frame[-2:] != check(frame[:-2]):
            raise ValueError(f"not an answer of the hub's tunnel: {frame.hex()}")
        if int.from_bytes(frame[4:6], "big") != self.number:
            raise ValueError("the answer to another frame")
        return frame[self.HEADER : -2]

    def apdu(self, frame):
        return frame


def check(octets):
    """CRC-16 of X.25, low octet first."""
    crc = 0xFFFF
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ 0x8408 if crc & 1 else crc >> 1
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def framing_of(settings):
    framing = settings.get("framing", {"kind": "wrapper"})
    kinds = {"wrapper": lambda _: Wrapper(), "hdlc": Hdlc, "hub-tunnel": HubTunnel}
    return kinds[framing["kind"]](framing)


def text(value):
    return bytes(value).decode() if isinstance(value, (bytes, bytearray)) else str(value)


def clock(session):
    item = GXDLMSClock()
    session.read(item, 2)
    return common.instant(item.time)


def register(session):
    item = GXDLMSRegister(session.settings["register"])
    session.read(item, 3)
    session.read(item, 2)
    return {"value": item.value, "scaler": item.scaler, "unit": int(item.unit)}


def object_list(session):
    reply = GXReplyData()
    session.exchange(session.client.getObjectsRequest(), reply)
    found = session.client.parseObjects(reply.data, False, False)
    return {"count": len(found), "names": sorted({str(each.logicalName) for each in found})}


def identity(session):
    return text(session.read(GXDLMSData("0.0.42.0.0.255"), 2))


def next_counter(settings):
    with Session(settings, "public") as session:
        return session.read(GXDLMSData("0.0.43.1.0.255"), 2)


def supply(session, approval):
    if approval:
        lab = GXDLMSData("0.0.128.0.0.255")
        lab.objectType = 0x8000
        session.act(lab, 1, bytes.fromhex(approval), DataType.OCTET_STRING)
    table = GXDLMSScriptTable("0.0.10.0.106.255")
    session.act(table, 1, session.settings["critical"].get("script", 1), DataType.UINT16)
    return supply_state(session)


def supply_state(session):
    control = GXDLMSDisconnectControl("0.0.96.3.10.255")
    session.read(control, 3)
    return int(control.controlState)


def octet_string(buffer, octets):
    buffer.setUInt8(DataType.OCTET_STRING)
    _GXCommon.setObjectCount(len(octets), buffer)
    buffer.set(octets)


def transfer(session):
    """Brings an image to the meter by the image transfer object, and has it checked."""
    image = bytes.fromhex(session.settings["image"]["octets"])
    item = GXDLMSImageTransfer("0.0.44.0.0.255")
    block = session.read(item, 2)
    reply = GXReplyData()
    # The library's own takes an identifier that is text only.
    begin = GXByteBuffer()
    begin.setUInt8(DataType.STRUCTURE)
    begin.setUInt8(2)
    octet_string(begin, bytes.fromhex(session.settings["image"]["hash"]))
    begin.setUInt8(DataType.UINT32)
    begin.setUInt32(len(image))
    session.act(item, 1, begin, DataType.ARRAY)
    blocks = 0
    for number in range(0, len(image), block):
        # The library's own makes all requests before the first is sent: over a ciphered association each needs its turn.
        data = GXByteBuffer()
        data.setUInt8(DataType.STRUCTURE)
        data.setUInt8(2)
        data.setUInt8(DataType.UINT32)
        data.setUInt32(blocks)
        octet_string(data, image[number : number + block])
        session.act(item, 2, data, DataType.ARRAY)
        blocks += 1
    session.read(item, 4)
    try:
        for packet in item.imageVerify(session.client):
            session.exchange(packet, reply)
    except GXDLMSException as refused:
        # It is being checked: the state says when that is over.
        if refused.errorCode != ErrorCode.TEMPORARY_FAILURE:
            raise
    for _ in range(600):
        session.read(item, 6)
        if int(item.imageTransferStatus) != 2:
            break
        time.sleep(0.1)
    if int(item.imageTransferStatus) == 4:
        # Found wrong: asked once more, the meter refuses.
        for packet in item.imageVerify(session.client):
            session.exchange(packet, reply)
    session.read(item, 7)
    active = [bytes(each.signature).hex() for each in item.imageActivateInfo]
    return {"blocks": blocks, "received": item.imageFirstNotTransferredBlockNumber, "state": int(item.imageTransferStatus), "verified": active}


def transfer_wrong(session):
    """Has an image checked that is not what was announced."""
    settings = dict(session.settings, image=dict(session.settings["image"], hash="11" * 32))
    session.settings = settings
    return transfer(session)


def activate(session, approval):
    if approval:
        lab = GXDLMSData("0.0.128.0.0.255")
        lab.objectType = 0x8000
        session.act(lab, 1, bytes.fromhex(approval), DataType.OCTET_STRING)
    reply = GXReplyData()
    for packet in GXDLMSImageTransfer("0.0.44.0.0.255").imageActivate(session.client):
        session.exchange(packet, reply)
    return "activated"


def replay(session):
    """Sends the last request's very octets again."""
    identity(session)
    session.socket.sendall(session.last_sent)
    return session.framing.apdu(session.frame()).hex()


def association(settings, role):
    """Settings of a ciphered association with a counter that the meter will take."""
    counter = settings[role].get("counter")
    if counter is None:
        counter = next_counter(settings) if role == "management" else 1
    for _ in range(2):
        try:
            session = Session(settings, role, counter=counter)
            session.associate()
            return session
        except GXDLMSExceptionResponse as refused:
            session.socket.close()
            counter = int(refused.serviceErrorValue)
    raise RuntimeError("no acceptable counter")


def wrong_key(settings, role):
    changed = {"authentication": "00" * 16, "counter": next_counter(settings)}
    with Session(settings, role, **changed):
        return "associated"


def checks(settings):
    def on(role, act):
        with Session(settings, role) as session:
            value = act(session)
            session.release()
            return value

    def ciphered(role, act):
        session = association(settings, role)
        try:
            return act(session)
        finally:
            session.socket.close()

    start, end = common.profile_range(settings)
    by_range = lambda session: session.rows_by_range(start, end)
    yield "public identity", lambda: on("public", identity)
    yield "public clock", lambda: on("public", clock)
    yield "public counter", lambda: next_counter(settings)
    yield "public register", lambda: on("public", register)
    yield "reader identity", lambda: on("reader", identity)
    yield "reader register", lambda: on("reader", register)
    yield "reader profile by range", lambda: on("reader", by_range)
    yield "reader wrong password", lambda: wrong_password(settings)
    yield "management identity", lambda: ciphered("management", identity)
    yield "management clock", lambda: ciphered("management", clock)
    yield "management register", lambda: ciphered("management", register)
    yield "management object list", lambda: ciphered("management", object_list)
    yield "management profile by range", lambda: ciphered("management", by_range)
    yield "management profile by entry", lambda: ciphered("management", by_entry)
    yield "management profile by blocks", lambda: ciphered("management", by_blocks)
    yield "management wrong key", lambda: wrong_key(settings, "management")
    yield "management replay", lambda: ciphered("management", replay)
    yield "management supply", lambda: ciphered("management", lambda session: supply(session, None))
    if "image" in settings:
        yield "management image", lambda: ciphered("management", transfer)
        yield "critical activation without approval", lambda: ciphered("critical", lambda s: activate(s, None))
        approval = settings["image"].get("approval")
        yield "critical activation with approval", lambda: ciphered("critical", lambda s: activate(s, approval))
        yield "management image of another hash", lambda: ciphered("management", transfer_wrong)
    if "critical" in settings:
        yield "critical supply without approval", lambda: ciphered("critical", lambda s: supply(s, None))
    if settings.get("critical", {}).get("approval"):
        approval = settings["critical"]["approval"]
        yield "critical supply with approval", lambda: ciphered("critical", lambda s: supply(s, approval))
        yield "critical supply with used approval", lambda: ciphered("critical", lambda s: supply(s, approval))


def by_entry(session):
    profile = session.profile()
    rows = session.rows(session.client.readRowsByEntry(profile, 2, 3), profile)
    return [[common.instant(row[0]), row[1]] for row in rows]


def by_blocks(session):
    """The whole profile: far more than one APDU."""
    profile = session.profile()
    rows = session.read(profile, 2)
    return {"rows": len(rows), "first": common.instant(rows[0][0]), "last": common.instant(rows[-1][0])}


def wrong_password(settings):
    with Session(settings, "reader", password="00" * 16):
        return "associated"


if __name__ == "__main__":
    sys.exit(common.run(checks, sys.argv[1:]))
