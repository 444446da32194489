// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "userspace/telemetry/proxy_metrics.h"

static const struct proxy_metrics_names names = {.errors = {NULL, "bad", "worse"},
						 .retries = {NULL, "refused"},
						 .picks = {"lowest"},
						 .mirrors = {NULL, "failed"}};

static char *expose(const struct proxy_metrics *metrics)
{
	struct exposition page = {0};
	size_t length;

	proxy_metrics_expose(metrics, &names, NULL, &page);
	assert_int_equal(page.err, 0);
	return exposition_take(&page, &length);
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %s", part, text);
}

static void rows_are_added_up_by_label(void **state)
{
	struct proxy_metrics *m;
	uint32_t model, region;
	char *text;

	(void)state;
	assert_int_equal(proxy_metrics_new(3, &m), 0);
	model = proxy_metrics_model(m, "gemma", 5);
	region = proxy_metrics_region(m, "eu");
	assert_int_equal(proxy_metrics_model(m, "gemma", 5), model);
	assert_int_not_equal(proxy_metrics_model(m, "llama", 5), model);
	for (int i = 0; i < 2; i++) {
		m->rows[i].sessions_total = 1;
		m->rows[i].cells[model][region].requests[proxy_metrics_code(200)] = 10;
		m->rows[i].cells[model][region].requests[proxy_metrics_code(418)] = 1;
		histogram_observe(&m->rows[i].cells[model][region].first_byte, 30000000);
		m->rows[i].errors[2] = 4;
		m->rows[i].mirrors[1] = 3;
	}
	text = expose(m);
	has(text, "sluice_proxy_requests_total{model=\"gemma\",region=\"eu\",code=\"200\"} 20\n");
	has(text, "sluice_proxy_requests_total{model=\"gemma\",region=\"eu\",code=\"4xx\"} 2\n");
	has(text,
	    "sluice_proxy_time_to_first_token_seconds_count{model=\"gemma\",region=\"eu\"} 2");
	has(text, "sluice_proxy_errors_total{reason=\"worse\"} 8\n");
	has(text, "sluice_proxy_errors_total{reason=\"bad\"} 0\n");
	has(text, "sluice_proxy_mirrors_total{reason=\"failed\"} 6\n");
	has(text, "sluice_proxy_sessions_total 2\n");
	free(text);
	proxy_metrics_free(m);
}

static void names_beyond_the_table_count_as_other(void **state)
{
	struct proxy_metrics *m;
	char name[200];
	char *text;

	(void)state;
	assert_int_equal(proxy_metrics_new(1, &m), 0);
	for (unsigned i = 0; i < PROXY_MODELS_MAX; i++) {
		snprintf(name, sizeof(name), "model-%u", i);
		assert_int_equal(proxy_metrics_model(m, name, strlen(name)), i);
	}
	assert_int_equal(proxy_metrics_model(m, "one-more", 8), PROXY_MODELS_MAX);
	memset(name, 'x', sizeof(name));
	assert_int_equal(proxy_metrics_model(m, name, sizeof(name)), PROXY_MODELS_MAX);
	assert_int_equal(proxy_metrics_model(m, "model-7", 7), 7);
	m->rows[0].sessions_total = 1;
	m->rows[0].cells[PROXY_MODELS_MAX][PROXY_REGIONS_MAX].requests[proxy_metrics_code(503)] = 3;
	text = expose(m);
	has(text, "{model=\"other\",region=\"other\",code=\"503\"} 3\n");
	free(text);
	proxy_metrics_free(m);
}

/* Two workers may claim one name at the same moment. */
static void a_name_claimed_twice_is_shown_once(void **state)
{
	struct proxy_metrics *m;
	char *text, *first;
	uint32_t a;

	(void)state;
	assert_int_equal(proxy_metrics_new(1, &m), 0);
	a = proxy_metrics_model(m, "gemma", 5);
	m->models[a + 1] = m->models[a];
	m->rows[0].sessions_total = 1;
	m->rows[0].cells[a][PROXY_REGIONS_MAX].requests[proxy_metrics_code(200)] = 1;
	m->rows[0].cells[a + 1][PROXY_REGIONS_MAX].requests[proxy_metrics_code(200)] = 2;
	text = expose(m);
	first = strstr(text, "requests_total{model=\"gemma\"");
	assert_non_null(first);
	has(text, "sluice_proxy_requests_total{model=\"gemma\",region=\"other\",code=\"200\"} 3\n");
	assert_null(strstr(first + 1, "requests_total{model=\"gemma\""));
	free(text);
	proxy_metrics_free(m);
}

static void counters_outlive_the_process_that_counted(void **state)
{
	struct proxy_metrics *m;
	char *text;
	pid_t pid;

	(void)state;
	assert_int_equal(proxy_metrics_new(2, &m), 0);
	pid = fork();
	if (!pid) {
		m->rows[1].sessions_total = 5;
		m->rows[1].bytes_out = 77;
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	text = expose(m);
	has(text, "sluice_proxy_sent_bytes_total 77\n");
	free(text);
	proxy_metrics_free(m);
}

static void a_successor_goes_on_counting_in_the_same_memory(void **state)
{
	struct proxy_metrics *old, *new;
	int fd = -1;
	char *text;

	(void)state;
	assert_int_equal(proxy_metrics_create(2, &fd), 0);
	assert_int_equal(proxy_metrics_map(fd, 2, &old), 0);
	old->rows[1].sessions_total = 5;
	old->rows[1].bytes_out = 70;
	assert_int_equal(proxy_metrics_map(fd, 2, &new), 0);
	proxy_metrics_free(old);
	new->rows[1].bytes_out += 7;
	text = expose(new);
	has(text, "sluice_proxy_sent_bytes_total 77\n");
	free(text);
	assert_int_equal(proxy_metrics_map(fd, 3, &old), -EPROTO);
	new->layout++;
	assert_int_equal(proxy_metrics_map(fd, 2, &old), -EPROTO);
	proxy_metrics_free(new);
	assert_int_equal(ftruncate(fd, 1), -1); /* nobody can take it away */
	close(fd);
}

static void every_status_has_a_place(void **state)
{
	(void)state;
	for (int status = -5; status < 1000; status++)
		assert_true(proxy_metrics_code(status) < PROXY_CODES_MAX);
	assert_int_equal(proxy_metrics_code(299), proxy_metrics_code(201));
	assert_int_not_equal(proxy_metrics_code(502), proxy_metrics_code(503));
	assert_int_equal(proxy_metrics_code(0), proxy_metrics_code(600));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_added_up_by_label),
		cmocka_unit_test(names_beyond_the_table_count_as_other),
		cmocka_unit_test(a_name_claimed_twice_is_shown_once),
		cmocka_unit_test(counters_outlive_the_process_that_counted),
		cmocka_unit_test(a_successor_goes_on_counting_in_the_same_memory),
		cmocka_unit_test(every_status_has_a_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
