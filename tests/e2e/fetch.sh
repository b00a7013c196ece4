#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# fetch.sh BUILD_FOLDER: the OpenTelemetry SDKs from PyPI and npm, for the tests that send with them.
set -euo pipefail
mkdir -p "$1"
# Without them those tests are skipped, with the reason.
/usr/bin/python3 "$(dirname "$0")/python_sdk_test.py" --fetch "$1/python-sdk" || [ $? = 77 ]
/usr/bin/python3 "$(dirname "$0")/node_sdk_test.py" --fetch "$1/node-sdk" || [ $? = 77 ]
