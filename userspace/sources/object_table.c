// SPDX-License-Identifier: BSD-2-Clause
/* Which fields are read, with the API's own types, limits and defaults
 * (Gateway API v1.6, GIE v1 and v1alpha2, GKE's networking.gke.io/v1).
 * A field that is not in a table is not looked at. */
#include "userspace/sources/object_table.h"

#include <stddef.h>
#include <string.h>

#include "userspace/base/route.h"

#define AT(s, member) .offset = offsetof(struct s, member)
#define STRING(p, s, m) .path = (p), .type = FIELD_STRING, AT(s, m)
#define INT(p, s, m, low, high, unset)                                                             \
	.path = (p), .type = FIELD_INT, AT(s, m), .min = (low), .max = (high), .number = (unset)
#define PORT(p, s, m) INT(p, s, m, 1, 65535, UNSET)
#define BOOL(p, s, m, unset) .path = (p), .type = FIELD_BOOL, AT(s, m), .number = (unset)
#define PRESENT(p, s, m) .path = (p), .type = FIELD_PRESENT, AT(s, m)
#define DURATION(p, s, m) .path = (p), .type = FIELD_DURATION, AT(s, m), .number = UNSET
#define LABELS(p, s, m) .path = (p), .type = FIELD_LABELS, AT(s, m), .max = 1024
#define STRUCT(p, s, m, t) .path = (p), .type = FIELD_STRUCT, AT(s, m), .sub = &(t)
#define MANY(s, m, c, most) AT(s, m), .count_offset = offsetof(struct s, c), .max = (most)
#define STRINGS(p, s, m, c, most) .path = (p), .type = FIELD_STRINGS, MANY(s, m, c, most)
#define INTS(p, s, m, c, most) .path = (p), .type = FIELD_INTS, MANY(s, m, c, most)
#define LIST(p, s, m, c, most, t) .path = (p), .type = FIELD_LIST, MANY(s, m, c, most), .sub = &(t)

#define TABLE(name, s, ...)                                                                        \
	static const struct field name##_fields[] = {__VA_ARGS__, {0}};                            \
	static const struct table name = {                                                         \
		.size = sizeof(struct s), .line_offset = SIZE_MAX, .fields = name##_fields}
/* ... and it remembers its line in `m` */
#define TABLE_WITH_LINE(name, s, m, ...)                                                           \
	static const struct field name##_fields[] = {__VA_ARGS__, {0}};                            \
	static const struct table name = {.size = sizeof(struct s),                                \
					  .line_offset = offsetof(struct s, m),                    \
					  .fields = name##_fields}

/* References differ in what the API fills in. */
#define REFERENCE(table, group_default, kind_default, ...)                                         \
	TABLE_WITH_LINE(table, reference, line,                                                    \
			{STRING("group", reference, group), .text = (group_default)},              \
			{STRING("kind", reference, kind), .text = (kind_default)},                 \
			{STRING("namespace", reference, namespace_), .check = text_check_name},    \
			{STRING("name", reference, name), .check = text_check_name, __VA_ARGS__})

REFERENCE(backend_ref_table, "", "Service", .required = true);
REFERENCE(parent_ref_table, GROUP_GATEWAY, "Gateway", .required = true);
REFERENCE(target_ref_table, "", "Service", .required = true);
REFERENCE(pool_ref_table, GROUP_INFERENCE, "InferencePool", .required = true);
REFERENCE(pod_ref_table, "", "", .required = false);
REFERENCE(grant_table, "", "", .required = false);
REFERENCE(route_kind_table, GROUP_GATEWAY, "", .required = false);
REFERENCE(picker_table, "", "Service", .required = true);

/* ---- Gateway API ---- */

TABLE(gateway_class_table, gateway_class,
      {STRING("spec.controllerName", gateway_class, controller_name), .required = true});

TABLE_WITH_LINE(address_table, gateway_address, line,
		{STRING("type", gateway_address, type), .text = "IPAddress"},
		{STRING("value", gateway_address, value), .text = ""});

static const char *const from_words[] = {"Same", "All", "Selector", "None", NULL};

TABLE_WITH_LINE(
	gateway_listener_table, gateway_listener, line,
	{STRING("name", gateway_listener, name), .required = true, .check = text_check_name},
	{STRING("hostname", gateway_listener, hostname), .check = text_check_hostname},
	{STRING("protocol", gateway_listener, protocol), .required = true},
	{PORT("port", gateway_listener, port), .required = true},
	{STRING("allowedRoutes.namespaces.from", gateway_listener, from), .text = "Same",
	 .words = from_words},
	{LABELS("allowedRoutes.namespaces.selector.matchLabels", gateway_listener, selector)},
	{PRESENT("allowedRoutes.namespaces.selector.matchExpressions", gateway_listener,
		 has_expressions)},
	{LIST("allowedRoutes.kinds", gateway_listener, kinds, kind_count, 8, route_kind_table)});

TABLE(gateway_table, gateway,
      {STRING("spec.gatewayClassName", gateway, class_name), .required = true},
      {LIST("spec.addresses", gateway, addresses, address_count, 16, address_table)},
      {LIST("spec.listeners", gateway, listeners, listener_count, 64, gateway_listener_table),
       .required = true});

TABLE(header_edit_table, header_edit,
      {STRING("name", header_edit, name), .required = true, .check = text_check_header_edit},
      {STRING("value", header_edit, value), .required = true, .check = text_check_value});

TABLE(modifier_table, http_modifier,
      {LIST("set", http_modifier, set, set_count, 16, header_edit_table)},
      {LIST("add", http_modifier, add, add_count, 16, header_edit_table)},
      {STRINGS("remove", http_modifier, remove, remove_count, 16),
       .check = text_check_header_edit});

static const char *const path_edit_words[] = {"ReplaceFullPath", "ReplacePrefixMatch", NULL};

TABLE(path_edit_table, http_path_edit,
      {STRING("type", http_path_edit, type), .required = true, .words = path_edit_words},
      {STRING("replaceFullPath", http_path_edit, full), .check = text_check_path},
      {STRING("replacePrefixMatch", http_path_edit, prefix)});

static const char *const cors_method_words[] = {
	"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*", NULL};

TABLE(cors_table, http_cors,
      {STRINGS("allowOrigins", http_cors, origins, origin_count, 64), .check = text_check_origin},
      {STRINGS("allowMethods", http_cors, methods, method_count, 9), .words = cors_method_words},
      {STRINGS("allowHeaders", http_cors, headers, header_count, 64), .check = text_check_header},
      {STRINGS("exposeHeaders", http_cors, expose, expose_count, 64), .check = text_check_header},
      {BOOL("allowCredentials", http_cors, credentials, false)},
      {INT("maxAge", http_cors, max_age_s, 1, INT32_MAX, 5)});

static const char *const scheme_words[] = {"http", "https", NULL};

TABLE_WITH_LINE(
	filter_table, http_filter, line, {STRING("type", http_filter, type), .required = true},
	{STRUCT("requestHeaderModifier", http_filter, request, modifier_table)},
	{STRUCT("responseHeaderModifier", http_filter, response, modifier_table)},
	{STRING("requestRedirect.scheme", http_filter, redirect_scheme), .words = scheme_words},
	{STRING("requestRedirect.hostname", http_filter, redirect_host), .check = text_check_host},
	{STRUCT("requestRedirect.path", http_filter, redirect_path, path_edit_table)},
	{PORT("requestRedirect.port", http_filter, redirect_port)},
	{INT("requestRedirect.statusCode", http_filter, redirect_status, 301, 308, 302)},
	{STRING("urlRewrite.hostname", http_filter, rewrite_host), .check = text_check_host},
	{STRUCT("urlRewrite.path", http_filter, rewrite_path, path_edit_table)},
	{STRUCT("requestMirror.backendRef", http_filter, mirror, backend_ref_table)},
	{PORT("requestMirror.backendRef.port", http_filter, mirror_port)},
	{INT("requestMirror.percent", http_filter, mirror_percent, 0, 100, UNSET)},
	{PRESENT("requestMirror.fraction", http_filter, has_mirror_fraction)},
	{INT("requestMirror.fraction.numerator", http_filter, mirror_numerator, 0, INT32_MAX,
	     UNSET)},
	{INT("requestMirror.fraction.denominator", http_filter, mirror_denominator, 1, INT32_MAX,
	     100)},
	{PRESENT("cors", http_filter, has_cors)}, {STRUCT("cors", http_filter, cors, cors_table)});

static const char *const pair_words[] = {"Exact", "RegularExpression", NULL};

TABLE_WITH_LINE(header_match_table, http_pair_match, line,
		{STRING("type", http_pair_match, type), .text = "Exact", .words = pair_words},
		{STRING("name", http_pair_match, name), .required = true,
		 .check = text_check_header},
		{STRING("value", http_pair_match, value), .required = true,
		 .check = text_check_value});

TABLE_WITH_LINE(query_match_table, http_pair_match, line,
		{STRING("type", http_pair_match, type), .text = "Exact", .words = pair_words},
		{STRING("name", http_pair_match, name), .required = true,
		 .check = text_check_not_empty},
		{STRING("value", http_pair_match, value), .required = true,
		 .check = text_check_value});

static const char *const path_words[] = {"Exact", "PathPrefix", "RegularExpression", NULL};
static const char *const method_words[] = {"GET",     "HEAD",	 "POST",  "PUT",   "DELETE",
					   "CONNECT", "OPTIONS", "TRACE", "PATCH", NULL};

TABLE_WITH_LINE(match_table, http_match, line,
		{STRING("path.type", http_match, path_type), .text = "PathPrefix",
		 .words = path_words},
		{STRING("path.value", http_match, path), .text = "/", .check = text_check_value},
		{STRING("method", http_match, method), .words = method_words},
		{LIST("headers", http_match, headers, header_count, 16, header_match_table)},
		{LIST("queryParams", http_match, queries, query_count, 16, query_match_table)});

TABLE(backend_table, http_backend, {STRUCT("", http_backend, ref, backend_ref_table)},
      {PORT("port", http_backend, port)}, {INT("weight", http_backend, weight, 0, 1000000, 1)},
      {LIST("filters", http_backend, filters, filter_count, 16, filter_table)});

static const char *const persistence_words[] = {"Cookie", "Header", NULL};
static const char *const lifetime_words[] = {"Session", "Permanent", NULL};

TABLE(persistence_table, http_persistence,
      {STRING("sessionName", http_persistence, name), .check = text_check_header},
      {STRING("type", http_persistence, type), .text = "Cookie", .words = persistence_words},
      {DURATION("absoluteTimeout", http_persistence, absolute_ms)},
      {DURATION("idleTimeout", http_persistence, idle_ms)},
      {PRESENT("cookieConfig", http_persistence, has_cookie_config)},
      {STRING("cookieConfig.lifetimeType", http_persistence, lifetime), .text = "Session",
       .words = lifetime_words});

TABLE(retry_table, http_retry,
      {INTS("codes", http_retry, codes, code_count, ROUTE_RETRY_CODES_MAX)},
      {INT("attempts", http_retry, attempts, 0, INT32_MAX, 0)},
      {DURATION("backoff", http_retry, backoff_ms)});

TABLE_WITH_LINE(rule_table, http_rule, line,
		{STRING("name", http_rule, name), .check = text_check_name},
		{LIST("matches", http_rule, matches, match_count, 64, match_table)},
		{LIST("filters", http_rule, filters, filter_count, 16, filter_table)},
		{LIST("backendRefs", http_rule, backends, backend_count, 16, backend_table)},
		{DURATION("timeouts.request", http_rule, request_timeout_ms)},
		{DURATION("timeouts.backendRequest", http_rule, backend_timeout_ms)},
		{STRUCT("retry", http_rule, retry, retry_table)},
		{PRESENT("sessionPersistence", http_rule, has_persistence)},
		{STRUCT("sessionPersistence", http_rule, persistence, persistence_table)});

TABLE(parent_table, route_parent, {STRUCT("", route_parent, ref, parent_ref_table)},
      {STRING("sectionName", route_parent, section)}, {PORT("port", route_parent, port)});

TABLE(http_route_table, http_route,
      {LIST("spec.parentRefs", http_route, parents, parent_count, 32, parent_table)},
      {STRINGS("spec.hostnames", http_route, hostnames, hostname_count, 16),
       .check = text_check_hostname},
      {LIST("spec.rules", http_route, rules, rule_count, 16, rule_table)});

TABLE(reference_grant_table, reference_grant,
      {LIST("spec.from", reference_grant, from, from_count, 16, grant_table), .required = true},
      {LIST("spec.to", reference_grant, to, to_count, 16, grant_table), .required = true});

/* ---- inference ---- */

TABLE_WITH_LINE(pool_port_table, pool_port, line,
		{PORT("number", pool_port, number), .required = true});

static const char *const protocol_words[] = {"http", "kubernetes.io/h2c", NULL};

TABLE(inference_pool_table, inference_pool,
      {LABELS("spec.selector.matchLabels", inference_pool, selector), .required = true},
      {LIST("spec.targetPorts", inference_pool, ports, port_count, 8, pool_port_table),
       .required = true},
      {STRING("spec.appProtocol", inference_pool, app_protocol), .text = "http",
       .words = protocol_words},
      {STRUCT("spec.endpointPickerRef", inference_pool, picker, picker_table)});

/* targetPortNumber is read by object.c: it becomes a list of one */
static const struct field inference_pool_old_fields[] = {
	{LABELS("spec.selector", inference_pool, selector), .required = true},
	{STRUCT("spec.extensionRef", inference_pool, picker, picker_table)},
	{0},
};
const struct table inference_pool_old_table = {.size = sizeof(struct inference_pool),
					       .line_offset = SIZE_MAX,
					       .fields = inference_pool_old_fields};

TABLE_WITH_LINE(import_cluster_table, import_cluster, line,
		{STRING("name", import_cluster, name), .required = true});
TABLE(import_controller_table, import_controller,
      {LIST("exportingClusters", import_controller, clusters, cluster_count, 1024,
	    import_cluster_table)});
TABLE(pool_import_table, pool_import,
      {LIST("status.controllers", pool_import, controllers, controller_count, 8,
	    import_controller_table)});

TABLE(objective_table, objective,
      {INT("spec.priority", objective, priority, INT32_MIN, INT32_MAX, 0)},
      {STRUCT("spec.poolRef", objective, pool, pool_ref_table), .required = true});

static const char *const model_match_words[] = {"Exact", NULL};

TABLE(rewrite_match_table, pool_rewrite_match,
      {STRING("model.type", pool_rewrite_match, type), .text = "Exact", .words = model_match_words},
      {STRING("model.value", pool_rewrite_match, model), .required = true,
       .check = text_check_model});

TABLE(rewrite_target_table, pool_rewrite_target,
      {STRING("modelRewrite", pool_rewrite_target, model), .required = true,
       .check = text_check_model},
      {INT("weight", pool_rewrite_target, weight, 1, 1000000, UNSET)});

TABLE_WITH_LINE(rewrite_rule_table, pool_rewrite_rule, line,
		{LIST("matches", pool_rewrite_rule, matches, match_count, REWRITE_MODELS_MAX,
		      rewrite_match_table)},
		{LIST("targets", pool_rewrite_rule, targets, target_count, REWRITE_TARGETS_MAX,
		      rewrite_target_table),
		 .required = true});

TABLE(pool_rewrite_table, pool_rewrite,
      {STRUCT("spec.poolRef", pool_rewrite, pool, pool_ref_table), .required = true},
      {LIST("spec.rules", pool_rewrite, rules, rule_count, 256, rewrite_rule_table),
       .required = true});

/* ---- GKE's policies ---- */

static const char *const specification_words[] = {"USE_FIXED_PORT", "USE_NAMED_PORT",
						  "USE_SERVING_PORT", NULL};

TABLE(health_check_block_table, health_check_block,
      {STRING("portSpecification", health_check_block, port_specification),
       .words = specification_words},
      {PORT("port", health_check_block, port)},
      {STRING("host", health_check_block, host), .check = text_check_host},
      {STRING("requestPath", health_check_block, path), .check = text_check_path},
      {STRING("proxyHeader", health_check_block, proxy_header)},
      {STRING("response", health_check_block, response)});

static const char *const check_words[] = {"TCP", "HTTP", "HTTPS", "HTTP2", "GRPC", NULL};

TABLE(health_check_policy_table, health_check_policy,
      {STRUCT("spec.targetRef", health_check_policy, target, target_ref_table), .required = true},
      {INT("spec.default.checkIntervalSec", health_check_policy, interval_s, 1, 300, 5)},
      {INT("spec.default.timeoutSec", health_check_policy, timeout_s, 1, 300, 5)},
      {INT("spec.default.healthyThreshold", health_check_policy, healthy, 1, 10, 2)},
      {INT("spec.default.unhealthyThreshold", health_check_policy, unhealthy, 1, 10, 2)},
      {STRING("spec.default.config.type", health_check_policy, type), .words = check_words},
      {STRUCT("spec.default.config.httpHealthCheck", health_check_policy, http,
	      health_check_block_table)},
      {STRUCT("spec.default.config.tcpHealthCheck", health_check_policy, tcp,
	      health_check_block_table)});

TABLE(backend_metric_table, backend_metric, {STRING("name", backend_metric, name)});

static const char *const mode_words[] = {"RATE",      "UTILIZATION", "CUSTOM_METRICS",
					 "IN_FLIGHT", "CONNECTION",  NULL};

TABLE_WITH_LINE(backend_scope_table, backend_scope, line,
		{STRING("balancingMode", backend_scope, balancing_mode), .words = mode_words},
		{STRING("backendPreference", backend_scope, preference)},
		{INT("maxRatePerEndpoint", backend_scope, rate_max, 1, 100000000, UNSET)},
		{INT("maxInFlightRequestsPerEndpoint", backend_scope, in_flight_max, 1, 100000000,
		     UNSET)});

TABLE(backend_policy_table, backend_policy,
      {STRUCT("spec.targetRef", backend_policy, target, target_ref_table), .required = true},
      {INT("spec.default.timeoutSec", backend_policy, timeout_s, 1, 2147483647, UNSET)},
      {INT("spec.default.connectionDraining.drainingTimeoutSec", backend_policy, drain_s, 0, 3600,
	   UNSET)},
      {STRING("spec.default.balancingMode", backend_policy, balancing_mode), .words = mode_words},
      {STRING("spec.default.backendPreference", backend_policy, preference)},
      {INT("spec.default.maxRatePerEndpoint", backend_policy, rate_max, 1, 100000000, UNSET)},
      {INT("spec.default.maxInFlightRequestsPerEndpoint", backend_policy, in_flight_max, 1,
	   100000000, UNSET)},
      {LIST("spec.default.customMetrics", backend_policy, metrics, metric_count, 16,
	    backend_metric_table)},
      {LIST("spec.default.scopes", backend_policy, scopes, scope_count, 64, backend_scope_table)},
      {PRESENT("spec.default.sessionAffinity", backend_policy, has_affinity)});

/* ---- core and friends ---- */

TABLE(property_table, header_edit, {STRING("name", header_edit, name), .required = true},
      {STRING("value", header_edit, value), .text = ""});
TABLE(cluster_profile_table, cluster_profile,
      {LIST("status.properties", cluster_profile, properties, property_count, 256,
	    property_table)});

TABLE(config_map_table, config_map, {LABELS("data", config_map, data)});

TABLE(service_port_table, service_port, {STRING("name", service_port, name)},
      {PORT("port", service_port, port), .required = true});
TABLE(service_table, service, {STRING("spec.type", service, type), .text = "ClusterIP"},
      {LABELS("spec.selector", service, selector)},
      {LIST("spec.ports", service, ports, port_count, 256, service_port_table)});

TABLE(slice_port_table, slice_port, {STRING("name", slice_port, name), .text = ""},
      {PORT("port", slice_port, port)}, {STRING("protocol", slice_port, protocol), .text = "TCP"});
TABLE_WITH_LINE(slice_endpoint_table, slice_endpoint, line,
		{STRINGS("addresses", slice_endpoint, addresses, address_count, 100),
		 .required = true},
		{BOOL("conditions.ready", slice_endpoint, ready, true)},
		{BOOL("conditions.terminating", slice_endpoint, terminating, false)},
		{STRING("zone", slice_endpoint, zone)}, {STRING("nodeName", slice_endpoint, node)},
		{STRUCT("targetRef", slice_endpoint, target, pod_ref_table)});

static const char *const address_type_words[] = {"IPv4", "IPv6", "FQDN", NULL};

TABLE(endpoint_slice_table, endpoint_slice,
      {STRING("addressType", endpoint_slice, address_type), .required = true,
       .words = address_type_words},
      {LIST("ports", endpoint_slice, ports, port_count, 100, slice_port_table)},
      {LIST("endpoints", endpoint_slice, endpoints, endpoint_count, 1000, slice_endpoint_table)});

TABLE(pod_condition_table, pod_condition, {STRING("type", pod_condition, type), .required = true},
      {STRING("status", pod_condition, status), .required = true});
TABLE(pod_table, pod, {STRING("spec.nodeName", pod, node)}, {STRING("status.phase", pod, phase)},
      {STRING("status.podIP", pod, ip)},
      {LIST("status.conditions", pod, conditions, condition_count, 64, pod_condition_table)});

/* ConfigMaps are anybody's; only those of body-based routing are ours. */
static bool config_map_wanted(const struct object *object)
{
	const char *managed = labels_get(&object->labels, GROUP_INFERENCE "/bbr-managed");

	return managed && strcmp(managed, "true") == 0;
}

const struct kind_row kind_rows[KIND_COUNT] = {
	[KIND_NAMESPACE] = {"Namespace", {""}, {"v1"}},
	[KIND_GATEWAY_CLASS] = {"GatewayClass",
				{GROUP_GATEWAY},
				{"v1", "v1beta1"},
				.table = &gateway_class_table},
	[KIND_GATEWAY] = {"Gateway",
			  {GROUP_GATEWAY},
			  {"v1", "v1beta1"},
			  true,
			  &gateway_table,
			  .check = gateway_check},
	[KIND_HTTP_ROUTE] = {"HTTPRoute",
			     {GROUP_GATEWAY},
			     {"v1", "v1beta1"},
			     true,
			     &http_route_table,
			     .check = http_route_check},
	[KIND_REFERENCE_GRANT] = {"ReferenceGrant",
				  {GROUP_GATEWAY},
				  {"v1", "v1beta1"},
				  true,
				  &reference_grant_table},
	[KIND_INFERENCE_POOL] = {"InferencePool",
				 {GROUP_INFERENCE, GROUP_INFERENCE_X},
				 {"v1", "v1alpha2"},
				 true,
				 &inference_pool_table,
				 .check = inference_pool_check},
	[KIND_POOL_IMPORT] = {"InferencePoolImport",
			      {GROUP_INFERENCE_X},
			      {"v1alpha1"},
			      true,
			      &pool_import_table},
	[KIND_GCP_POOL_IMPORT] = {"GCPInferencePoolImport", {GROUP_GKE}, {"v1"}, true},
	[KIND_OBJECTIVE] = {"InferenceObjective",
			    {GROUP_INFERENCE_X, "llm-d.ai"},
			    {"v1alpha2"},
			    true,
			    &objective_table},
	[KIND_MODEL_REWRITE] = {"InferenceModelRewrite",
				{GROUP_INFERENCE_X, "llm-d.ai"},
				{"v1alpha2"},
				true,
				&pool_rewrite_table,
				.check = pool_rewrite_check},
	[KIND_HEALTH_CHECK_POLICY] = {"HealthCheckPolicy",
				      {GROUP_GKE},
				      {"v1"},
				      true,
				      &health_check_policy_table,
				      .check = health_check_policy_check},
	[KIND_BACKEND_POLICY] = {"GCPBackendPolicy",
				 {GROUP_GKE},
				 {"v1"},
				 true,
				 &backend_policy_table,
				 .check = backend_policy_check},
	[KIND_CLUSTER_PROFILE] = {"ClusterProfile",
				  {"multicluster.x-k8s.io"},
				  {"v1alpha1"},
				  true,
				  &cluster_profile_table},
	[KIND_CONFIG_MAP] =
		{"ConfigMap", {""}, {"v1"}, true, &config_map_table, .wanted = config_map_wanted},
	[KIND_SERVICE] = {"Service", {""}, {"v1"}, true, &service_table},
	[KIND_ENDPOINT_SLICE] =
		{"EndpointSlice", {"discovery.k8s.io"}, {"v1"}, true, &endpoint_slice_table},
	[KIND_NODE] = {"Node", {""}, {"v1"}},
	[KIND_POD] = {"Pod", {""}, {"v1"}, true, &pod_table},
};

const char *const ignored_kinds[] = {
	/* inference and gateway kinds that later versions will act upon */
	"InferenceModel", "EndpointPickerConfig", "GCPTrafficDistributionPolicy",
	"GCPRoutingExtension", "GCPTrafficExtension", "MultiClusterIngress", "MultiClusterService",
	"BackendConfig", "FrontendConfig", "ManagedCertificate", "GCPSessionAffinityPolicy",
	"GCPSessionAffinityFilter", "GCPGatewayPolicy", "AutoscalingMetric", "BackendTLSPolicy",
	"GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute", "XListenerSet", "ListenerSet",
	"ServiceImport", "ServiceExport", "ResourceClaim", "ResourceClaimTemplate", "ResourceSlice",
	"DeviceClass", "Secret",
	/* what a cluster is full of and a gateway has no use for */
	"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "LeaderWorkerSet",
	"HorizontalPodAutoscaler", "PodDisruptionBudget", "PodMonitoring", "ServiceMonitor",
	"PodMonitor", "PrometheusRule", "ServiceAccount", "Role", "RoleBinding", "ClusterRole",
	"ClusterRoleBinding", "NetworkPolicy", "Ingress", "IngressClass", "Endpoints", "Event",
	"Lease", "LimitRange", "ResourceQuota", "PersistentVolume", "PersistentVolumeClaim",
	"StorageClass", "PriorityClass", "CustomResourceDefinition", "ValidatingAdmissionPolicy",
	"ValidatingAdmissionPolicyBinding", "Kustomization", NULL};
