"""Reads and operates devices of a running lab over the semantic device interface, and prints what came of it as JSON.

usage: semantic_client.py PROTO_FOLDER < settings.json

Settings: {"address": "127.0.0.1:8081", "meter": "EUI-64", "gas": "EUI-64", "approval": "hex of the DCO's approval to
disable the supply of the meter"}. The stubs are generated from the project's own proto files.
"""

import importlib
import json
import sys
import tempfile

import grpc
from grpc_tools import protoc


def stubs(folder):
    out = tempfile.mkdtemp()
    files = [f"s1lab/{name}.proto" for name in ("device", "devices")]
    code = protoc.main(["protoc", f"-I{folder}", f"--python_out={out}", f"--grpc_python_out={out}", *files])
    if code != 0:
        raise RuntimeError(f"protoc ended with {code}")
    sys.path.insert(0, out)
    return [importlib.import_module(f"s1lab.{name}") for name in ("device_pb2", "devices_pb2", "devices_pb2_grpc")]


def main(folder):
    settings = json.load(sys.stdin)
    device, devices, service = stubs(folder)
    client = service.DevicesStub(grpc.insecure_channel(settings["address"]))

    def operate(on, operation, approval=""):
        request = devices.OperateRequest(device=on, operation=operation, approval=bytes.fromhex(approval))
        return client.Operate(request, timeout=20)

    read = lambda on, item: operate(on, device.Operation(read=item)).outcome.answer.value
    supply = device.Operation(supply=device.SUPPLY_COMMAND_DISABLE)
    name = device.Tree(list=device.TreeList(items=[device.Tree(text="Example Energy"), device.Tree(text="0800 0")]))
    setting = device.Tree(map=device.TreeMap(entries=[device.TreeEntry(name="SupplierName", value=name)]))
    write = device.Operation(act=device.Act(name="Write", arguments=setting))
    results = {
        "register": read(settings["meter"], "ActiveImport").quantity.value,
        "supply before": read(settings["meter"], "SupplyState").supply,
        "without approval": operate(settings["meter"], supply).outcome.refusal,
        "disable": operate(settings["meter"], supply, settings["approval"]).outcome.answer.done,
        "again": operate(settings["meter"], supply, settings["approval"]).outcome.refusal,
        "supply after": read(settings["meter"], "SupplyState").supply,
        "write": operate(settings["meter"], write).outcome.answer.done,
        "gas": read(settings["gas"], "GasConsumption").quantity.unit,
    }
    try:
        operate("nonsense", supply)
    except grpc.RpcError as refused:
        results["nonsense"] = refused.code().name
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
