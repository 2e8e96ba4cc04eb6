#!/usr/bin/env bash
# Builds the static program and the image from it (pulling nothing), brings both containers up, sends one signed request
# from the host through the front door and waits for the device's answer. Needs a Docker engine, a compose command, curl.
set -euo pipefail
cd "$(dirname "$0")/.."

target=x86_64-unknown-linux-gnu
# `dev` builds faster; what is tested is the same. S1LAB_PROGRAM names a static program that is built already.
profile=${S1LAB_PROFILE:-release}
export S1LAB_BUILD=outside COMPOSE_PROJECT_NAME=s1lab-test-$$
# Other ports than the documented ones, so that a lab that runs already is left alone.
export S1LAB_DUIS_PORT=18079 S1LAB_CONTROL_PORT=18081
# The classic builder serves both old and new engines here: the stage `outside` has no network step.
export DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0} COMPOSE_DOCKER_CLI_BUILD=${COMPOSE_DOCKER_CLI_BUILD:-0}
compose() { if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi; }

program=target/docker/s1lab
mkdir -p target/docker
if [ -n "${S1LAB_PROGRAM:-}" ]; then
  echo "-- take the static program $S1LAB_PROGRAM"
  cp "$S1LAB_PROGRAM" "$program"
else
  echo "-- build the static program"
  RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --profile "$profile" --target "$target" -p s1lab
  folder=${CARGO_TARGET_DIR:-target}/$target/$profile
  if [ "$profile" = dev ]; then folder=${folder%dev}debug; fi
  cp "$folder/s1lab" "$program"
fi

work=$(mktemp -d)
finish() {
  status=$?
  if [ "$status" -ne 0 ]; then compose logs --no-color 2>/dev/null | tail -n 60; fi
  compose down --volumes --timeout 5 >/dev/null 2>&1 || true
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

echo "-- build the image and start both containers"
compose build core >/dev/null
compose up -d --no-build >/dev/null

lab="http://127.0.0.1:$S1LAB_CONTROL_PORT"
echo "-- wait for the lab"
for _ in $(seq 1 100); do
  if "$program" --lab "$lab" --json device list >"$work/devices.json" 2>/dev/null; then break; fi
  # Waiting for a state: the loop ends as soon as the control service answers.
  read -r -t 0.2 <> <(:) || true
done
device=$(grep -o '[0-9A-F]\{2\}\(-[0-9A-F]\{2\}\)\{7\}' "$work/devices.json" | sort -u | while read -r id; do
  "$program" --lab "$lab" --json device show "$id" >"$work/device.json"
  if grep -q '"ESME"' "$work/device.json"; then echo "$id"; break; fi
done)
test -n "$device" || { echo "no electricity meter in the lab"; exit 1; }

user=90-B3-D5-1F-30-01-00-00
core=$(compose ps -q core)
docker cp "$core:/state/pki/user-$user.key.pem" "$work/user.key.pem" >/dev/null
docker cp "$core:/state/pki/user-$user.crt.pem" "$work/user.crt.pem" >/dev/null
docker cp "$core:/state/pki/dcc.crt.pem" "$work/dcc.crt.pem" >/dev/null
docker cp "$core:/state/pki/s1sp.crt.pem" "$work/s1sp.crt.pem" >/dev/null

request() { # counter
  cat <<XML
<?xml version="1.0" encoding="UTF-8"?>
<sr:Request xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway" schemaVersion="5.1"><sr:Header><sr:RequestID>$user:$device:$1</sr:RequestID><sr:CommandVariant>1</sr:CommandVariant><sr:ServiceReference>4.1</sr:ServiceReference><sr:ServiceReferenceVariant>4.1.1</sr:ServiceReferenceVariant></sr:Header><sr:Body><sr:ReadInstantaneousImportRegisters/></sr:Body></sr:Request>
XML
}

echo "-- sign on the host, post with curl, expect I99"
request 1000 >"$work/request.xml"
"$program" duis sign "$work/request.xml" --key "$work/user.key.pem" --cert "$work/user.crt.pem" >"$work/signed.xml"
curl --silent --show-error --fail --max-time 5 -H 'Content-Type: application/xml' --data-binary "@$work/signed.xml" \
  "http://127.0.0.1:$S1LAB_DUIS_PORT/api/v1/serviceS" >"$work/acknowledgement.xml"
grep -q '>I99<' "$work/acknowledgement.xml" || { cat "$work/acknowledgement.xml"; exit 1; }
"$program" duis verify "$work/acknowledgement.xml" --cert "$work/dcc.crt.pem"

echo "-- send through the control service and wait for the meter's answer"
request 1001 >"$work/request.xml"
"$program" --lab "$lab" duis send "$work/request.xml" --wait 60 >"$work/answer.xml"
grep -q 'ActiveImportRegister' "$work/answer.xml" || { cat "$work/answer.xml"; exit 1; }
echo "-- the meter answered over the tunnel"
