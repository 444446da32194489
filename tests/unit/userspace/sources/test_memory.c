// SPDX-License-Identifier: BSD-2-Clause
/* Reading and resolving with the n-th allocation failing, for every n: each time
 * -ENOMEM comes back and everything that was taken is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/userspace/sources/decoded.h"
#include "userspace/sources/desired.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1 /* it has its own malloc */
#else
#define SANITIZED 0

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void __libc_free(void *memory);

static bool armed;
static long until_failure, live;

static bool allocation_fails(void)
{
	return armed && until_failure-- == 0;
}

void *malloc(size_t size)
{
	void *memory = allocation_fails() ? NULL : __libc_malloc(size);

	live += armed && memory;
	return memory;
}

void *calloc(size_t count, size_t size)
{
	void *memory = allocation_fails() ? NULL : __libc_calloc(count, size);

	live += armed && memory;
	return memory;
}

void *realloc(void *old, size_t size)
{
	void *memory = allocation_fails() ? NULL : __libc_realloc(old, size);

	live += armed && memory && !old;
	return memory;
}

void free(void *memory)
{
	live -= armed && memory;
	__libc_free(memory);
}

static const char text[] =
	"apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\n"
	"spec: {controllerName: x/y}\n---\n"
	"apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n"
	"spec: {gatewayClassName: c, addresses: [{value: 10.0.0.1}],\n"
	"  listeners: [{name: http, protocol: HTTP, port: 80, hostname: '*.test'}]}\n---\n"
	"apiVersion: inference.networking.k8s.io/v1\nkind: InferencePool\n"
	"metadata: {name: p, annotations: {networking.gke.io/export: 'True'}}\n"
	"spec: {selector: {matchLabels: {app: x}}, targetPorts: [{number: 8000}]}\n---\n"
	"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: x}}\n"
	"status: {podIP: 10.1.0.1, conditions: [{type: Ready, status: 'True'}]}\n---\n"
	"apiVersion: networking.gke.io/v1\nkind: HealthCheckPolicy\nmetadata: {name: h}\n"
	"spec: {targetRef: {group: networking.gke.io, kind: GCPInferencePoolImport, name: p},\n"
	"  default: {config: {type: HTTP, httpHealthCheck: {host: h.test, requestPath: /}}}}\n---\n"
	"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\n"
	"spec:\n  hostnames: [a.test]\n  parentRefs: [{name: g}]\n  rules:\n"
	"  - name: one\n    matches: [{path: {value: /v1}, headers: [{name: A, value: b}]}]\n"
	"    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}],\n"
	"      remove: [c]}}, {type: RequestMirror, requestMirror: {backendRef:\n"
	"      {group: networking.gke.io, kind: GCPInferencePoolImport, name: p}}},\n"
	"      {type: CORS, cors: {allowOrigins: ['https://a.test'], allowMethods: [PUT],\n"
	"      allowHeaders: [A], exposeHeaders: [B]}}]\n"
	"    sessionPersistence: {}\n"
	"    retry: {codes: [500], attempts: 1, backoff: 1s}\n"
	"    backendRefs: [{group: networking.gke.io, kind: GCPInferencePoolImport, name: p, filters:\n"
	"      [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: a, value: b}],\n"
	"      remove: [c]}}]}]\n---\n"
	"apiVersion: inference.networking.x-k8s.io/v1alpha2\nkind: InferenceObjective\n"
	"metadata: {name: o}\nspec: {priority: 1, poolRef: {name: p}}\n---\n"
	"apiVersion: llm-d.ai/v1alpha2\nkind: InferenceModelRewrite\nmetadata: {name: w}\n"
	"spec: {poolRef: {name: p}, rules: [{matches: [{model: {value: a}}],\n"
	"  targets: [{modelRewrite: b}]}]}\n---\n"
	"apiVersion: v1\nkind: ConfigMap\n"
	"metadata: {name: m, labels: {inference.networking.k8s.io/bbr-managed: 'true'}}\n"
	"data: {baseModel: b, adapters: '[x, y]'}\n";

struct taken {
	struct object *list[16];
	struct objects objects;
};

static int take(void *ctx, struct object *object)
{
	struct taken *taken = ctx;

	taken->list[taken->objects.count++] = object;
	return 0;
}

static int refused(void *ctx, enum object_kind kind, const char *namespace_, const char *name)
{
	(void)ctx;
	(void)kind;
	(void)namespace_;
	(void)name;
	return -EINVAL;
}

static int objects_read(struct taken *taken, struct messages *messages, struct arena *arena)
{
	const struct object_sink sink = {.file = "f",
					 .messages = messages,
					 .arena = arena,
					 .ctx = taken,
					 .take = take,
					 .refused = refused};
	struct yaml_error error;
	struct yaml_file file;
	int err = yaml_parse(text, strlen(text), &file, &error);

	if (err)
		return err;
	for (size_t i = 0; i < file.count && !err; i++)
		err = object_decode(&sink, file.documents[i]);
	yaml_file_deinit(&file);
	return err;
}

/* The whole way once. */
static int run(void)
{
	struct taken taken = {.objects = {.list = taken.list}};
	const struct desired_source cluster = {"a", &taken.objects};
	const struct desired_input input = {
		.config = {"config", &taken.objects}, .cluster_count = 1, .clusters = &cluster};
	struct messages messages = {0};
	struct arena arena = {0};
	struct desired *desired = NULL;
	int err = objects_read(&taken, &messages, &arena);

	if (!err) {
		qsort(taken.list, taken.objects.count, sizeof(taken.list[0]), decoded_compare);
		err = desired_resolve(&input, &desired);
	}
	if (!err && (desired->route_count != 1 || desired->endpoint_count != 1 ||
		     desired->base_model_count != 3 || desired->objective_count != 1 ||
		     desired->pools[0].rewrite_count != 1))
		err = -EPROTO;
	desired_free(desired);
	for (size_t i = 0; i < taken.objects.count; i++)
		object_free(taken.list[i]);
	arena_deinit(&arena);
	return err;
}
#endif

static void every_failed_allocation_is_reported_and_nothing_leaks(void **state)
{
	(void)state;
#if SANITIZED
	print_message("skip: AddressSanitizer brings its own malloc\n");
	skip();
#else
	long n = 0;

	/* until a run needs fewer allocations than n: none failed */
	do {
		int err;

		until_failure = n++;
		live = 0;
		armed = true;
		err = run();
		armed = false;
		assert_int_equal(live, 0);
		/* a message that found no memory is dropped, which is no error */
		assert_true(err == -ENOMEM || err == 0);
	} while (until_failure < 0);
	assert_true(n > 100);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_failed_allocation_is_reported_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
