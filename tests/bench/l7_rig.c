// SPDX-License-Identifier: BSD-2-Clause
/* The world of the L7 bench: namespaces for processes, mounts and the network whose
 * first process is the bench.  When it ends, however it ends, the kernel ends all that
 * was started and forgets all files; nothing is on the host to be cleaned up.
 *
 * Our gateway is the product: loader, controller with a folder of YAML, proxy.  The
 * loader attaches to a link that nobody uses, for the socket look-up alone, so the
 * way of the packets is loopback for every proxy. */
#include "tests/bench/l7.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/l7_configs.h"

static const struct {
	const char *program; /* that all its processes run */
	const char *line; /* how it is started; %s is the folder of our programs */
	const char *addr;
	uint16_t port;
	bool both_cpus;
} proxies[L7_PROXY_COUNT] = {
	[L7_OURS] = {"sluice-proxy",
		     "exec %s/sluice-proxy -i l7 --workers 1 --metrics off --access-log off "
		     "--sessions-max 8192 --buffers-max 16384 --log-level warning",
		     L7_VIP, 80, false},
	[L7_OURS_TWO] = {"sluice-proxy",
			 "exec %s/sluice-proxy -i l7 --workers 2 --metrics off --access-log off "
			 "--sessions-max 8192 --buffers-max 16384 --log-level warning",
			 L7_VIP, 80, true},
	[L7_HAPROXY_ROUTE] = {"haproxy", "exec haproxy -db -f /run/l7/route.cfg", "127.0.0.1", 9001,
			      false},
	[L7_HAPROXY_STREAM] = {"haproxy", "exec haproxy -db -f /run/l7/stream.cfg", "127.0.0.1",
			       9001, false},
	[L7_HAPROXY_TWO] = {"haproxy", "exec haproxy -db -f /run/l7/two.cfg", "127.0.0.1", 9001,
			    true},
	[L7_NGINX] = {"nginx", "exec nginx -c /run/l7/nginx.conf -p /run/l7", "127.0.0.1", 9002,
		      false},
	[L7_RELAY] = {"l7-relay", NULL, "127.0.0.1", 9003, false},
	[L7_DIRECT] = {NULL, NULL, L7_UPSTREAM_ADDR, L7_UPSTREAM_PORT, false},
};

static pid_t pids[L7_PROXY_COUNT];
static int softirq_fd = -1; /* schedstat of the proxy core's ksoftirqd; -1: not to be seen */
static char bin[4096 - 300];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "bench_l7: %s%s%s\n", what, errno ? ": " : "",
		errno ? strerror(errno) : "");
	exit(1);
}

void l7_pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		fail("pinning to a CPU (two are needed)");
}

static void must_run(const char *format, ...)
{
	char line[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	errno = 0;
	if (system(line) != 0)
		fail(line);
}

static void file_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	if (!file || fputs(text, file) < 0 || fclose(file))
		fail(path);
}

/* A child on `cpu` (-1: any) that dies with us; its messages go to /run/l7/LOG. */
static pid_t child_begin(int cpu, const char *log)
{
	char path[128];
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		fail("fork");
	if (pid)
		return pid;
	snprintf(path, sizeof(path), "/run/l7/%s.log", log);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cpu >= 0)
		l7_pin(cpu);
	return 0;
}

static void softirq_find(void)
{
	char path[300], comm[64], wanted[32];
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	snprintf(wanted, sizeof(wanted), "ksoftirqd/%d\n", L7_CPU_PROXY);
	while (dir && (entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(comm, sizeof(comm), file) && strcmp(comm, wanted) == 0) {
			snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
			softirq_fd = open(path, O_RDONLY | O_CLOEXEC);
		}
		fclose(file);
	}
	if (dir)
		closedir(dir);
	if (softirq_fd < 0)
		fprintf(stderr, "ksoftirqd of the proxies' core cannot be seen: not counted\n");
}

static void bin_find(void)
{
	const char *named = getenv("SLUICE_BIN");
	ssize_t size = readlink("/proc/self/exe", bin, sizeof(bin) - 16);

	if (named) {
		if (!realpath(named, bin))
			fail("SLUICE_BIN");
		return;
	}
	if (size < 0)
		fail("/proc/self/exe");
	bin[size] = '\0';
	for (int i = 0; i < 3; i++) /* build/tests/bench/bench_l7 */
		*strrchr(bin, '/') = '\0';
	strcat(bin, "/bin");
}

/* Returns in the first process of the new namespaces; the one outside waits for it. */
static void namespaces_enter(void)
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) < 0)
		fail("namespaces of our own (needs root)");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (pid > 0) {
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0 ||
	    mount("run", "/run", "tmpfs", 0, NULL) < 0 ||
	    mount("bpf", "/sys/fs/bpf", "bpf", 0, NULL) < 0 || mkdir("/run/l7", 0700) < 0)
		fail("mounts of our own");
}

static void configs_write(void)
{
	must_run("mkdir -p /run/l7/config /run/l7/cluster");
	file_write("/run/l7/config/all.yaml", l7_yaml_config);
	file_write("/run/l7/cluster/all.yaml", l7_yaml_cluster);
	file_write("/run/l7/route.cfg", l7_haproxy_route);
	file_write("/run/l7/stream.cfg", l7_haproxy_stream);
	file_write("/run/l7/two.cfg", l7_haproxy_two);
	file_write("/run/l7/nginx.conf", l7_nginx);
}

static void gateway_start(void)
{
	must_run("set -e; ip link set lo up; ip addr add " L7_UPSTREAM_ADDR "/32 dev lo; "
		 "ip link add d0 type veth peer name d1; ip link set d0 up; ip link set d1 up");
	must_run("{ %s/sluice-loader -i l7 load --snat " L7_UPSTREAM_ADDR
		 " && %s/sluice-loader -i l7 attach --mode tc d0; } >/run/l7/loader.log 2>&1 || "
		 "{ cat /run/l7/loader.log >&2; false; }",
		 bin, bin);
	if (child_begin(L7_CPU_LOAD, "controller") == 0) {
		char line[8192];

		snprintf(line, sizeof(line),
			 "exec %s/sluice-controller -i l7 --config-cluster /run/l7/config "
			 "--cluster one=/run/l7/cluster --metrics off",
			 bin);
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(127);
	}
}

void l7_rig_make(void)
{
	struct rlimit files;

	bin_find();
	softirq_find();
	namespaces_enter();
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	signal(SIGPIPE, SIG_IGN);
	configs_write();
	l7_pin(L7_CPU_LOAD);
	gateway_start();
	if (child_begin(L7_CPU_LOAD, "upstream") == 0)
		l7_upstream_run();
}

/* ---- proxies ---- */

const char *l7_proxy_addr(enum l7_proxy proxy)
{
	return proxies[proxy].addr;
}

uint16_t l7_proxy_port(enum l7_proxy proxy)
{
	return proxies[proxy].port;
}

static bool is_serving(enum l7_proxy proxy)
{
	static const char request[] = "POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\n"
				      "Content-Type: application/json\r\nContent-Length: 23\r\n\r\n"
				      "{\"model\":\"" L7_MODEL "\"}";
	bool is_right;

	_Static_assert(sizeof("{\"model\":\"" L7_MODEL "\"}") == 24, "Content-Length above");
	l7_ask(proxies[proxy].addr, proxies[proxy].port, request, sizeof(request) - 1, &is_right);
	return is_right;
}

const char *l7_proxy_start(enum l7_proxy proxy)
{
	static char why[128];
	char line[8192];
	pid_t pid;

	if (!proxies[proxy].program)
		return NULL;
	pid = child_begin(proxies[proxy].both_cpus ? -1 : L7_CPU_PROXY, proxies[proxy].program);
	if (pid == 0) {
		cpu_set_t all;

		memset(&all, 0xff, sizeof(all));
		if (proxies[proxy].both_cpus)
			sched_setaffinity(0, sizeof(all), &all);
		if (!proxies[proxy].line) {
			prctl(PR_SET_NAME, proxies[proxy].program);
			l7_relay_run(proxies[proxy].port);
		}
		snprintf(line, sizeof(line), proxies[proxy].line, bin);
		execl("/bin/sh", "sh", "-c", line, NULL);
		_exit(127);
	}
	pids[proxy] = pid;
	for (int i = 0; i < 100; i++) {
		if (is_serving(proxy))
			return NULL;
		if (waitpid(pid, NULL, WNOHANG) == pid) {
			pids[proxy] = 0;
			break;
		}
		usleep(100000);
	}
	l7_proxy_stop(proxy);
	snprintf(why, sizeof(why), "%s does not serve (scripts/deps bench installs the peers)",
		 proxies[proxy].program);
	must_run("tail -n 5 /run/l7/%s.log >&2; tail -n 5 /run/l7/controller.log >&2",
		 proxies[proxy].program);
	return why;
}

/* The program a process runs, whatever it calls itself; the relay has only a name. */
static void program_of(const char *pid, char *ret_name, size_t size)
{
	char path[300], program[512];
	ssize_t got;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/exe", pid);
	got = readlink(path, program, sizeof(program) - 1);
	program[got > 0 ? got : 0] = '\0';
	snprintf(ret_name, size, "%s", strrchr(program, '/') ? strrchr(program, '/') + 1 : "");
	if (strcmp(ret_name, "bench_l7"))
		return;
	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file && fgets(ret_name, (int)size, file))
		ret_name[strcspn(ret_name, "\n")] = '\0';
	if (file)
		fclose(file);
}

/* All processes of that program; nobody else's are in our namespace. */
static uint64_t sum_over(const char *program, uint64_t (*read_one)(const char *pid))
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	uint64_t sum = 0;

	while (dir && (entry = readdir(dir))) {
		char name[64];

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		program_of(entry->d_name, name, sizeof(name));
		if (strcmp(name, program) == 0)
			sum += read_one(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return sum;
}

/* HAProxy has its threads in one process: all of them count. */
static uint64_t cpu_of(const char *pid)
{
	char path[600];
	unsigned long long ran = 0, sum = 0;
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		FILE *file;

		if (entry->d_name[0] == '.') /* ".." is the process: its first thread twice */
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fscanf(file, "%llu", &ran) == 1)
			sum += ran;
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return sum;
}

static uint64_t memory_of(const char *pid)
{
	char path[300], line[256];
	unsigned long long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Pss: %llu", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib;
}

static uint64_t one_of(const char *pid)
{
	(void)pid;
	return 1;
}

void l7_proxy_stop(enum l7_proxy proxy)
{
	if (!proxies[proxy].program)
		return;
	if (pids[proxy] > 0) {
		kill(pids[proxy], SIGTERM);
		usleep(20000);
		kill(pids[proxy], SIGTERM); /* a second one: at once */
	}
	for (int i = 0; i < 100; i++) {
		/* we are the first process here: orphans are ours to reap */
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (!sum_over(proxies[proxy].program, one_of))
			break;
		usleep(50000);
		if (i == 60 && pids[proxy] > 0)
			kill(pids[proxy], SIGKILL);
	}
	pids[proxy] = 0;
}

uint64_t l7_proxy_cpu_ns(enum l7_proxy proxy)
{
	char text[64] = "";

	if (softirq_fd >= 0 && pread(softirq_fd, text, sizeof(text) - 1, 0) < 0)
		text[0] = '\0';
	return strtoull(text, NULL, 10) + sum_over(proxies[proxy].program, cpu_of);
}

uint64_t l7_proxy_memory_kib(enum l7_proxy proxy)
{
	return sum_over(proxies[proxy].program, memory_of);
}
