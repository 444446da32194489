-- SPDX-License-Identifier: BSD-2-Clause
-- What wrk asks for: answers of one token, all over the same connections.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"model": "gemma-3-27b-it", "max_tokens": 1, "messages": [{"role": "user", "content": "hello"}]}'
