/* SPDX-License-Identifier: BSD-2-Clause */
/* What the proxies of the L7 bench are told: one pool of one endpoint each. */
#ifndef SLUICE_BENCH_L7_CONFIGS_H
#define SLUICE_BENCH_L7_CONFIGS_H

static const char l7_yaml_config[] =
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: ai}\n"
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n"
	"metadata: {name: sluice}\nspec: {controllerName: sluice.internal/gateway}\n"
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
	"metadata: {name: bench, namespace: ai}\nspec:\n  gatewayClassName: sluice\n"
	"  addresses:\n  - {type: IPAddress, value: 10.99.0.1}\n"
	"  listeners:\n  - {name: http, protocol: HTTP, port: 80}\n"
	"---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n"
	"metadata: {name: bench, namespace: ai}\nspec:\n  parentRefs:\n  - name: bench\n"
	"  rules:\n  - matches:\n    - headers:\n"
	"      - {name: X-Gateway-Model-Name, value: bench-model}\n"
	"    backendRefs:\n    - group: inference.networking.x-k8s.io\n"
	"      kind: InferencePoolImport\n      name: bench\n"
	"---\napiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: InferencePoolImport\n"
	"metadata: {name: bench, namespace: ai}\nstatus:\n  controllers:\n"
	"  - name: sluice.internal/gateway\n    exportingClusters:\n    - name: one\n";

static const char l7_yaml_cluster[] =
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: ai}\n"
	"---\napiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\n"
	"metadata:\n  name: bench\n  namespace: ai\n  annotations:\n"
	"    inference.networking.x-k8s.io/export: ClusterSet\n"
	"spec:\n  selector:\n    matchLabels: {app: bench}\n  targetPorts:\n  - number: 8000\n"
	"---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: bench-0\n  namespace: ai\n"
	"  labels: {app: bench, llm-d.ai/engine-type: vllm}\n"
	"spec:\n  containers:\n  - name: server\n    image: none\n    ports:\n"
	"    - containerPort: 8000\n"
	"status:\n  phase: Running\n  podIP: 10.10.0.11\n  conditions:\n"
	"  - {type: Ready, status: \"True\"}\n";

#define HAPROXY(threads, bufsize, options)                                                         \
	"global\n nbthread " threads "\n maxconn 9000\n tune.bufsize " bufsize "\n"                \
	"defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"    \
	"frontend in\n bind 127.0.0.1:9001 backlog 16384\n" options " default_backend up\n"        \
	"backend up\n http-reuse always\n server s 10.10.0.11:8000\n"

static const char l7_haproxy_route[] = HAPROXY(
	"1", "65536",
	" option http-buffer-request\n"
	" http-request set-var(txn.model) req.body,json_query('$.model')\n"
	" http-request deny deny_status 404 unless { var(txn.model) -m str bench-model }\n");
static const char l7_haproxy_stream[] = HAPROXY("1", "16384", " option http-no-delay\n");
static const char l7_haproxy_two[] = HAPROXY("2", "16384", " option http-no-delay\n");

static const char l7_nginx[] =
	"daemon off;\nworker_processes 1;\nuser root;\npid /run/l7/nginx.pid;\n"
	"error_log stderr error;\nevents { worker_connections 4096; }\n"
	"http {\n access_log off;\n keepalive_requests 1000000000;\n"
	" client_body_temp_path /run/l7/body;\n proxy_temp_path /run/l7/proxy;\n"
	" fastcgi_temp_path /run/l7/f;\n uwsgi_temp_path /run/l7/u;\n scgi_temp_path /run/l7/s;\n"
	" upstream up { server 10.10.0.11:8000; keepalive 1024; }\n"
	" server { listen 127.0.0.1:9002 backlog=16384;\n  location / { proxy_pass http://up;\n"
	"   proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; } }\n}\n";

#endif
