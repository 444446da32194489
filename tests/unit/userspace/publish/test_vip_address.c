// SPDX-License-Identifier: BSD-2-Clause
/* VIP addresses on the lo of a network namespace of this test's own. */
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <cmocka.h>

#include "userspace/base/address.h"
#include "userspace/base/cleanup.h"
#include "userspace/publish/vip_address.h"

static int lo_set_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int namespace_enter(void **state)
{
	*state = NULL;
	if (unshare(CLONE_NEWNET) < 0)
		printf("skip: a network namespace needs root (%s)\n", strerror(errno));
	else if (lo_set_up() == 0)
		*state = (void *)"ready";
	return 0;
}

static bool can_bind(const char *text)
{
	_cleanup_close_ int fd = -1;
	struct sockaddr_storage sa;
	struct ip_addr addr;
	socklen_t length;

	assert_int_equal(address_parse(text, &addr), 0);
	length = address_to_sockaddr(&addr, 0, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(fd, (struct sockaddr *)&sa, length) == 0;
}

static void check_round(void **state, const char *text)
{
	struct ip_addr addr;
	bool added = false;

	if (!*state)
		skip();
	assert_int_equal(address_parse(text, &addr), 0);
	assert_false(can_bind(text));
	assert_int_equal(vip_address_add(&addr, &added), 0);
	assert_true(added);
	assert_true(can_bind(text));
	/* again: it is there, and not by this call */
	assert_int_equal(vip_address_add(&addr, &added), 0);
	assert_false(added);
	assert_int_equal(vip_address_remove(&addr), 0);
	assert_false(can_bind(text));
	assert_int_equal(vip_address_remove(&addr), 0);
}

static void an_ipv4_vip_is_added_once_and_removed(void **state)
{
	check_round(state, "10.99.0.1");
}

static void an_ipv6_vip_is_added_once_and_removed(void **state)
{
	check_round(state, "2001:db8:99::1");
}

static void an_address_the_host_has_already_is_not_ours(void **state)
{
	struct ip_addr addr;
	bool added = true;

	if (!*state)
		skip();
	assert_int_equal(address_parse("127.0.0.1", &addr), 0);
	assert_int_equal(vip_address_add(&addr, &added), 0);
	assert_false(added);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_vip_is_added_once_and_removed),
		cmocka_unit_test(an_ipv6_vip_is_added_once_and_removed),
		cmocka_unit_test(an_address_the_host_has_already_is_not_ours),
	};

	return cmocka_run_group_tests(tests, namespace_enter, NULL);
}
