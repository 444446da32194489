#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# The lab: a client, a gateway and two regions in network namespaces, and the whole product in it.
# scripts/run, the check and every tests/lab/test_*.sh source this file.
#
#   sluice-NAME-client  10.1.0.2/24 --- 10.1.0.1  \
#                                                  sluice-NAME-gw   VIP 10.99.0.1:80
#   sluice-NAME-europe-west4  10.2.1.2 - 10.2.1.1 /                 L4 VIP 10.99.0.20:8000
#   sluice-NAME-us-east5      10.2.2.2 - 10.2.2.1 /
#
# Pods of examples/two-region are addresses in their region's namespace (10.10.0.0/16 and
# 10.20.0.0/16), one sluice-model-server each.  Everything that an instance NAME leaves on the
# host has its name in it: namespaces, /sys/fs/bpf/sluice/NAME, /run/sluice/NAME; lab_sweep
# removes all of it and kills only processes inside the instance's own namespaces.

LAB_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
LAB_BIN=${SLUICE_BIN:-build/bin}
[[ $LAB_BIN = /* ]] || LAB_BIN=$LAB_ROOT/$LAB_BIN
LAB_EXAMPLE=$LAB_ROOT/examples/two-region
LAB_VIP=10.99.0.1
# shellcheck disable=SC2034 # for the tests
LAB_L4_VIP=10.99.0.20
# The regions: cluster, namespace, gateway's end, region's end, pods' network
LAB_REGIONS="cluster-a:europe-west4:10.2.1.1:10.2.1.2:10.10.0.0/16:to-europe
cluster-b:us-east5:10.2.2.1:10.2.2.2:10.20.0.0/16:to-us"

lab_name=

# lab_init NAME: which instance all other functions mean
lab_init() {
	lab_name=$1
	[[ $lab_name =~ ^[a-z0-9-]{1,31}$ ]] || {
		echo "instance '$lab_name': wants 1 to 31 of a-z, 0-9 and -" >&2
		return 1
	}
	lab_run_dir=/run/sluice/$lab_name
	lab_dir=$lab_run_dir/lab
	lab_pins=/sys/fs/bpf/sluice/$lab_name
}

lab_ns() {
	echo "sluice-$lab_name-$1"
}

# lab_in NAMESPACE COMMAND...: unlike `ip netns exec` it keeps /sys/fs/bpf
lab_in() {
	local ns
	ns=$(lab_ns "$1")
	shift
	nsenter --net="/run/netns/$ns" "$@"
}

# lab_lock_take FILE [DYING]: descriptor 9 holds the lock; fails when somebody alive holds it.  A
# lock whose owner is dead is waited for: its watchdog is sweeping.  So is that of pid DYING, which
# may still look alive while it ends.
lab_lock_take() {
	local tries owner

	mkdir -p "$(dirname "$1")"
	for ((tries = 0; tries < 200; tries++)); do
		exec 9>>"$1"
		if flock -n 9; then
			# it may have been removed between opening and locking
			[ ! "$1" -ef /dev/fd/9 ] || return 0
		fi
		owner=$(cat "$1" 2>/dev/null)
		if [ "$owner" != "${2:-}" ] && kill -0 "$owner" 2>/dev/null; then
			return 1
		fi
		sleep 0.1 9>&-
	done
	return 1
}

lab_exists() {
	[ -e "/run/netns/$(lab_ns gw)" ]
}

lab_log() {
	echo "lab $lab_name: $*"
}

# lab_spawn LOG NAMESPACE COMMAND...: a process that outlives Ctrl-C of the terminal and keeps no
# descriptor of ours; its pid goes to LOG.pid
lab_spawn() {
	local log=$1 ns
	ns=$(lab_ns "$2")
	shift 2
	setsid nsenter --net="/run/netns/$ns" "$@" </dev/null >>"$lab_dir/$log.log" 2>&1 8>&- 9>&- &
	echo $! >"$lab_dir/$log.pid"
	disown $!
}

# lab_pid controller|proxy: as they wrote it themselves (the proxy's parent may be another process
# than the one that was started: its keeper), else the one that was started
lab_pid() {
	cat "$lab_run_dir/$1.pid" 2>/dev/null || cat "$lab_dir/$1.pid"
}

# lab_running controller|proxy: a process that has ended does not run, also where the machine's first
# process collects no orphans (many containers), so that its pid stays.
lab_running() {
	grep -qs '^State:[[:space:]]*[^[:space:]ZX]' "/proc/$(lab_pid "$1")/status"
}

# ---- topology ----

lab_link() {
	local a=$1 a_dev=$2 a_addr=$3 b=$4 b_dev=$5 b_addr=$6

	ip link add "$a_dev" netns "$(lab_ns "$a")" type veth \
		peer name "$b_dev" netns "$(lab_ns "$b")" || return 1
	lab_in "$a" ip addr add "$a_addr/24" dev "$a_dev" &&
		lab_in "$a" ip link set "$a_dev" up &&
		lab_in "$b" ip addr add "$b_addr/24" dev "$b_dev" &&
		lab_in "$b" ip link set "$b_dev" up || return 1
	# What XDP sends arrives only where the peer polls (gro on); what XDP is to send on must
	# carry whole checksums (tx off).  Real network cards do both by themselves.
	lab_in "$a" ethtool -K "$a_dev" gro on tx off >/dev/null 2>&1
}

lab_topology_up() {
	local ns cluster region gw_addr addr net dev

	for ns in client gw europe-west4 us-east5; do
		ip netns add "$(lab_ns $ns)" || return 1
		lab_in $ns ip link set lo up || return 1
	done
	lab_in gw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward' || return 1
	lab_link client eth0 10.1.0.2 gw to-client 10.1.0.1 || return 1
	lab_in client ip route add default via 10.1.0.1 || return 1
	while IFS=: read -r cluster region gw_addr addr net dev; do
		lab_link "$region" eth0 "$addr" gw "$dev" "$gw_addr" || return 1
		lab_in "$region" ip route add default via "$gw_addr" || return 1
		lab_in gw ip route add "$net" via "$addr" || return 1
	done <<<"$LAB_REGIONS"
}

# lab_region_down REGION, lab_region_up REGION: the region's end of its link.  The gateway's routes
# stay, so packets go nowhere and nobody says so.
lab_region_down() {
	lab_in "$1" ip link set eth0 down
}

lab_region_up() {
	local gw_addr
	gw_addr=$(awk -F: -v r="$1" '$2 == r { print $3 }' <<<"$LAB_REGIONS")
	lab_in "$1" ip link set eth0 up &&
		lab_in "$1" ip route add default via "$gw_addr"
}

# ---- model servers ----

# lab_pods DIR: the pods of a cluster's YAML: "name app address port" a line
lab_pods() {
	awk '
	function flush() {
		if (kind == "Pod" && name && address)
			print name, app, address, port ? port : 8000
		kind = name = app = address = port = ""
	}
	FNR == 1 { flush() }
	/^---/ { flush(); next }
	/^kind:/ { kind = $2 }
	/^  name:/ && !name { name = $2 }
	/^    app:/ { app = $2 }
	/containerPort:/ { port = $NF }
	/^  podIP:/ { address = $2 }
	END { flush() }' "$1"/*.yaml
}

lab_models() {
	case $1 in
	gemma-*) echo "--model gemma-3-27b-it" ;;
	llama-*) echo "--model llama-3-8b-instruct --model food-review-1 --model cad-fabricator" ;;
	*) echo "--model $1" ;;
	esac
}

lab_server_start() {
	local cluster=$1 region=$2 name=$3 app=$4 address=$5 port=$6

	# shellcheck disable=SC2046 # several words
	lab_spawn "$cluster-$name" "$region" "$LAB_BIN/sluice-model-server" \
		--listen "$address:$port" --admin "$address:9000" --pod "$cluster/$name" \
		$(lab_models "$app") ${SLUICE_LAB_SERVER_OPTIONS:-}
}

lab_servers_up() {
	local cluster region gw_addr addr net dev name app address port

	while IFS=: read -r cluster region gw_addr addr net dev; do
		while read -r name app address port; do
			lab_in "$region" ip addr add "$address/32" dev lo || return 1
			lab_server_start "$cluster" "$region" "$name" "$app" "$address" "$port"
			echo "$cluster $region $name $app $address $port" >>"$lab_dir/pods"
		done < <(lab_pods "$lab_config/$cluster")
	done <<<"$LAB_REGIONS"
	[ -s "$lab_dir/pods" ]
}

# lab_fault POD JSON: POD as cluster/name; through the port that faults do not touch
lab_fault() {
	local cluster=${1%%/*} name=${1#*/} region address

	read -r region address < <(awk -v c="$cluster" -v n="$name" \
		'$1 == c && $3 == n { print $2, $5 }' "$lab_dir/pods")
	lab_in "$region" curl -sf -m 2 "http://$address:9000/faults" -d "$2" >/dev/null
}

# ---- the gateway ----

lab_loader() {
	lab_in gw "$LAB_BIN/sluice-loader" --instance "$lab_name" "$@"
}

lab_ctl() {
	"$LAB_BIN/sluicectl" --instance "$lab_name" "$@"
}

lab_controller_start() {
	lab_spawn controller gw "$LAB_BIN/sluice-controller" --instance "$lab_name" \
		--config-cluster "$lab_config/config-cluster" \
		--cluster "cluster-a=$lab_config/cluster-a" \
		--cluster "cluster-b=$lab_config/cluster-b" --scrape-interval-ms 200
}

lab_proxy_start() {
	# shellcheck disable=SC2086 # several words
	lab_spawn proxy gw "$LAB_BIN/sluice-proxy" --instance "$lab_name" --workers 2 \
		${SLUICE_LAB_PROXY_OPTIONS:-}
}

# lab_proxy_replace [OPTIONS...]: a successor in the place of the proxy that runs
lab_proxy_replace() {
	# shellcheck disable=SC2086 # several words
	lab_spawn proxy gw "$LAB_BIN/sluice-proxy" --instance "$lab_name" --workers 2 --replace \
		${SLUICE_LAB_PROXY_OPTIONS:-} "$@"
}

lab_gateway_up() {
	[ -d /sys/fs/bpf ] && mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf || return 1
	lab_loader load --snat 10.2.1.1 >>"$lab_dir/loader.log" 2>&1 || return 1
	lab_loader attach to-client to-europe to-us >>"$lab_dir/loader.log" 2>&1 || return 1
	lab_controller_start
	lab_proxy_start
}

# ---- readiness ----

lab_endpoints_up() {
	lab_ctl --json show endpoints 2>/dev/null |
		jq '[.[] | select(.health == "UP")] | length' 2>/dev/null ||
		echo 0
}

lab_chat() {
	local model=$1
	shift
	lab_in client curl -s -m 5 "http://$LAB_VIP/v1/chat/completions" \
		-H 'content-type: application/json' "$@" \
		-d "{\"model\": \"$model\", \"max_tokens\": 3,
		\"messages\": [{\"role\": \"user\", \"content\": \"hello\"}]}"
}

lab_chat_status() {
	lab_chat "$1" -o /dev/null -w '%{http_code}'
}

lab_alive() {
	local name
	for name in controller proxy; do
		lab_running $name || {
			lab_log "sluice-$name has ended"
			return 1
		}
	done
}

# lab_wait_ready SECONDS: all pods UP, and both models answer
lab_wait_ready() {
	local end=$((SECONDS + $1)) want up=0 gemma=000 llama=000

	want=$(wc -l <"$lab_dir/pods")
	while [ $SECONDS -lt $end ]; do
		lab_alive || return 1
		up=$(lab_endpoints_up)
		if [ "$up" -ge "$want" ]; then
			gemma=$(lab_chat_status gemma-3-27b-it)
			llama=$(lab_chat_status llama-3-8b-instruct)
			[ "$gemma" != 200 ] || [ "$llama" != 200 ] || return 0
		fi
		sleep 0.2
	done
	lab_log "not ready after $1 s: $up of $want endpoints UP, gemma answers $gemma, llama $llama"
	return 1
}

# lab_supervise: to be called again and again; starts the controller and the proxy when they have
# been gone for some calls, as systemd would (the proxy has a keeper that is faster).  A file
# NAME.hold keeps it from that.  Fails after too many starts in a row.
declare -A lab_gone=()
lab_starts=0
lab_started_at=0
lab_supervise() {
	local name

	for name in controller proxy; do
		if [ -e "$lab_dir/$name.hold" ] || lab_running $name; then
			lab_gone[$name]=0
			continue
		fi
		lab_gone[$name]=$((lab_gone[$name] + 1))
		[ "${lab_gone[$name]}" -ge 4 ] || continue
		[ $((SECONDS - lab_started_at)) -lt 20 ] || lab_starts=0
		lab_starts=$((lab_starts + 1))
		lab_started_at=$SECONDS
		[ $lab_starts -le 5 ] || return 1
		lab_log "sluice-$name has ended; starting it again"
		lab_gone[$name]=0
		"lab_${name}_start"
	done
}

lab_report_failure() {
	local log

	lab_log "bringing up failed: $1"
	for log in loader controller proxy cluster-a-gemma-3-27b-0; do
		[ -s "$lab_dir/$log.log" ] || continue
		echo "---- last lines of $log"
		tail -n 15 "$lab_dir/$log.log"
	done
}

# ---- up and down ----

# lab_up: everything, then ready; on failure says why, and leaves the sweeping to the caller
lab_up() {
	lab_config=${SLUICE_LAB_CONFIG:-$LAB_EXAMPLE}
	mkdir -p "$lab_dir"
	echo "$lab_config" >"$lab_dir/config"
	: >"$lab_dir/pods"
	lab_topology_up 2>"$lab_dir/topology.log" || {
		lab_report_failure "the namespaces: $(tail -n 1 "$lab_dir/topology.log")"
		return 1
	}
	lab_servers_up || {
		lab_report_failure "the model servers"
		return 1
	}
	lab_gateway_up || {
		lab_report_failure "sluice-loader"
		return 1
	}
	lab_wait_ready "${SLUICE_LAB_TIMEOUT:-30}" || {
		lab_report_failure "the gateway does not answer"
		return 1
	}
}

lab_ns_pids() {
	local ns
	for ns in client gw europe-west4 us-east5; do
		[ ! -e "/run/netns/$(lab_ns $ns)" ] || ip netns pids "$(lab_ns $ns)" 2>/dev/null
	done
}

lab_kill_all() {
	local pid pids tries

	mapfile -t pids < <(lab_ns_pids)
	for pid in "${pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	for tries in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		[ -n "$(lab_ns_pids)" ] || return 0
		sleep 0.1
	done
	for pid in $(lab_ns_pids); do
		kill -KILL "$pid" 2>/dev/null
	done
	for ((tries = 0; tries < 50; tries++)); do
		[ -n "$(lab_ns_pids)" ] || return 0
		sleep 0.1
	done
	lab_log "processes $(lab_ns_pids | tr '\n' ' ')do not end ($tries tries)"
}

# lab_sweep: nothing of this instance is left, whatever was there
lab_sweep() {
	local ns

	if lab_exists; then
		lab_kill_all
		[ ! -d "$lab_pins" ] || lab_loader unload >/dev/null 2>&1
	fi
	for ns in client gw europe-west4 us-east5; do
		[ ! -e "/run/netns/$(lab_ns $ns)" ] || ip netns del "$(lab_ns $ns)"
	done
	rm -rf "$lab_pins" "$lab_run_dir"
	rmdir /run/sluice /sys/fs/bpf/sluice 2>/dev/null
	return 0
}
