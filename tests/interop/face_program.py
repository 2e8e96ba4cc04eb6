"""Provides a toy protocol as the face of devices, at both ends, until the lab ends.

usage: face_program.py PROTO_FOLDER < settings.json

Settings: {"address": "127.0.0.1:8081", "name": "toy", "ends": ["device", "head-end"]}; without ends, both. Prints "attached" once it
is, and each word that goes over the WAN; "refused: …" where it may not attach.
The protocol: lines of a word and the octets of a message in hexadecimal digits.
"""

import importlib
import json
import queue
import sys
import tempfile

import grpc
from grpc_tools import protoc


def stubs(folder):
    out = tempfile.mkdtemp()
    files = [f"s1lab/{name}.proto" for name in ("device", "faces")]
    code = protoc.main(["protoc", f"-I{folder}", f"--python_out={out}", f"--grpc_python_out={out}", *files])
    if code != 0:
        raise RuntimeError(f"protoc ended with {code}")
    sys.path.insert(0, out)
    return [importlib.import_module(f"s1lab.{name}") for name in ("faces_pb2", "faces_pb2_grpc")]


class Toy:
    """What the program answers to what it is told, connection by connection."""

    def __init__(self, faces):
        self.faces = faces
        self.at_device = {}
        self.heard = {}

    def line(self, word, octets=b""):
        return {"send": f"{word} {octets.hex()}\n".encode()}

    def told(self, message):
        session, kind = message.session, message.WhichOneof("told")
        if kind == "opened":
            self.at_device[session] = message.opened.end == self.faces.FACE_END_DEVICE
            self.heard[session] = b""
            return [self.line("HELLO", message.opened.hub.encode())] if self.at_device[session] else []
        if kind == "octets":
            *lines, self.heard[session] = (self.heard[session] + message.octets).split(b"\n")
            return [answer for line in lines for answer in self.read(session, line.decode())]
        if kind == "start":
            return [self.line("DO", message.start.SerializeToString())]
        if kind == "executed":
            return [self.line("IS", message.executed.SerializeToString())]
        if kind == "notify":
            return [self.line("SAY", message.notify.SerializeToString())]
        if kind == "release":
            return [self.line("BYE"), {"released": True}]
        return []

    def read(self, session, line):
        word, octets = line.split(" ")
        octets = bytes.fromhex(octets)
        print(word, flush=True)
        if self.at_device[session]:
            if word == "DO":
                start = self.faces.FaceStart.FromString(octets)
                operate = self.faces.FaceOperate(
                    call=1,
                    device=start.device,
                    operation=start.operation,
                    association=start.association,
                    approval=start.approval,
                )
                yield {"operate": operate}
        elif word == "HELLO":
            yield {"identified": octets.decode()}
        elif word == "IS":
            executed = self.faces.FaceExecuted.FromString(octets)
            if executed.WhichOneof("result") == "ticket":
                yield {"queued": executed.ticket}
            else:
                yield {"finished": executed.outcome}
        elif word == "SAY":
            yield {"notified": self.faces.FaceNotification.FromString(octets)}


def main(folder):
    settings = json.load(sys.stdin)
    faces, service = stubs(folder)
    toy = Toy(faces)
    to_lab = queue.Queue()
    known = {"device": faces.FACE_END_DEVICE, "head-end": faces.FACE_END_HEAD_END}
    ends = [known[end] for end in settings.get("ends", known)]
    to_lab.put(faces.FromFace(attach=faces.AttachFace(name=settings["name"], ends=ends)))
    client = service.FacesStub(grpc.insecure_channel(settings["address"]))
    try:
        for message in client.Attach(iter(to_lab.get, None)):
            if message.WhichOneof("told") == "attached":
                print("attached", flush=True)
            for answer in toy.told(message):
                to_lab.put(faces.FromFace(session=message.session, **answer))
    except grpc.RpcError as ended:
        if ended.code() == grpc.StatusCode.INVALID_ARGUMENT:
            print(f"refused: {ended.details()}", flush=True)
        # Else the lab has ended.
        print(ended.code().name, file=sys.stderr)
    to_lab.put(None)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
