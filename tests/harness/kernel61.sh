#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Debian 12's own kernel 6.1 under qemu: every program is loaded and attached there, and
# tests/program, tests/lab/test_loader.sh, test_share.sh and test_decap.sh run there.  Prints TAP,
# one line a program.
#
#   tests/harness/kernel61.sh [--lab NAME | --shell 'COMMAND']
#
# --lab: tests/lab/test_NAME.sh alone, with its own lines; --shell: run that in the guest instead
#
# The kernel comes from Debian's archive into build/kernel61 and is never installed.  The guest's
# root is this machine's, read-only over 9p; what it needs of the tree is copied to a share.  No
# KVM: nested virtualisation often has none that boots a stock kernel, and emulation takes 15 s.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit

cache=build/kernel61
limit_s=1450
memory_mb=1536
tools="qemu-system-x86_64 busybox depmod modprobe cpio xz xdp-loader"
case ${1:-} in
"") command_line= ;;
--shell) command_line=${2:?} ;;
--lab) command_line="tree/tests/lab/test_${2:?}.sh" ;;
*)
	sed -n '3,14s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac

skip_all() {
	echo "skip: $1"
	echo "ok 1 # SKIP programs on kernel 6.1"
	echo "1..1"
	exit 0
}

for tool in $tools; do
	PATH=$PATH:/usr/sbin:/sbin command -v "$tool" >/dev/null ||
		skip_all "$tool is not installed (scripts/deps kernel)"
done
PATH=$PATH:/usr/sbin:/sbin
[ -x build/bin/sluice-loader ] || skip_all "build/bin/sluice-loader is not built (make tests)"

# The package that Debian 12 installs as its kernel; fetched once.
kernel_fetch() {
	local package

	compgen -G "$cache/root/boot/vmlinuz-6.1.*" >/dev/null && return 0
	mkdir -p "$cache/root"
	package=$(apt-cache depends linux-image-amd64 2>/dev/null | awk '$1 == "Depends:" { print $2; exit }')
	[[ $package == linux-image-6.1.* ]] || return 1
	(cd "$cache" && apt-get download -q -o APT::Sandbox::User=root "$package") >&2 || return 1
	dpkg -x "$cache/$package"_*.deb "$cache/root" && rm -f "$cache/$package"_*.deb
}

# Modules that the guest needs before it has a root, unpacked, in the order of loading.
initramfs_modules() {
	local module file name

	for module in virtio_pci 9pnet_virtio 9p; do
		modprobe -d "$cache/root" -S "$version" --show-depends "$module"
	done | awk '/^insmod/ && !seen[$2]++ { print $2 }' | while read -r file; do
		name=$(basename "${file%.xz}")
		case $file in
		*.xz) xz -dc "$file" >"$1/$name" ;;
		*) cp "$file" "$1/$name" ;;
		esac
		echo "$name"
	done >"$1/list"
}

initramfs_make() {
	mkdir -p "$work/initramfs"/{bin,modules,dev,proc,sys,mnt}
	cp "$(command -v busybox)" "$work/initramfs/bin/busybox"
	initramfs_modules "$work/initramfs/modules"
	cat >"$work/initramfs/init" <<-'EOF'
		#!/bin/busybox sh
		b=/bin/busybox
		p=trans=virtio,version=9p2000.L,msize=524288
		$b mount -t devtmpfs d /dev
		$b mount -t proc p /proc
		$b mount -t sysfs s /sys
		while read m; do $b insmod /modules/$m; done </modules/list
		$b mount -t 9p -o $p,ro,cache=loose host /mnt || $b poweroff -f
		for d in tmp run root; do $b mount -t tmpfs t /mnt/$d; done
		$b mount -t 9p -o $p,access=any share /mnt/run
		$b mount -t 9p -o $p,ro,cache=loose modules /mnt/run/modules
		$b mount -t proc p /mnt/proc
		$b mount -t sysfs s /mnt/sys
		$b mount --bind /dev /mnt/dev
		$b mount -t bpf b /mnt/sys/fs/bpf
		$b chroot /mnt /bin/bash /run/guest.sh >/mnt/run/out 2>&1
		echo $? >/mnt/run/rc
		$b sync
		$b poweroff -f
	EOF
	chmod +x "$work/initramfs/init"
	(cd "$work/initramfs" && find . | cpio -o -H newc 2>/dev/null) | gzip -1 >"$work/initramfs.gz"
}

# What runs in the guest, below /run, which is the share.
guest_script() {
	cat <<-EOF
		export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
		cd /run
		for module in veth sch_ingress cls_bpf; do modprobe -d /run/modules -S $version \$module; done
		ip link set lo up
		mkdir -p /run/netns && mount -t tmpfs netns /run/netns
	EOF
	if [ -n "$command_line" ]; then
		echo "$command_line"
		return
	fi
	cat <<-'EOF'
		number=0
		result() { # RC SENTENCE
			number=$((number + 1))
			[ "$1" = 0 ] && echo "ok $number - $2" || echo "not ok $number - $2"
		}
		ip link add d0 type veth peer name d1
		./sluice-loader check d0 | sed 's/^/# /'
		./sluice-loader load --snat 10.0.0.1
		result $? "sluice-loader load on $(uname -r)"
		for program in xdp_ingress xdp_generic tc_ingress tc_egress sk_assign; do
			./sluice-loader --json status | jq -e --arg p $program \
				'.programs[] | select(.name == $p) | .id > 0' >/dev/null
			result $? "$program loads"
		done
		./sluice-loader attach d0
		result $? "attach"
		hooks=$(./sluice-loader --json status | jq -r '[.hooks[].hook] | sort | join(" ")')
		[ "$hooks" = "clsact_egress clsact_own native sk_lookup" ]
		result $? "attached: $hooks"
		./sluice-loader attach d1 --mode generic
		result $? "attach --mode generic"
		./sluice-loader upgrade
		result $? "upgrade"
		./sluice-loader unload && [ -z "$(tc qdisc show dev d0 | grep clsact)" ] &&
			[ -z "$(ls /sys/fs/bpf/sluice)" ]
		result $? "unload leaves nothing"
		for test in test_*; do
			CMOCKA_MESSAGE_OUTPUT=STDOUT ./$test >$test.log 2>&1
			rc=$?
			! grep -q '^skip:' $test.log || rc=1
			result $rc "tests/program/$test: $(grep -c '       OK ' $test.log) tests pass"
			[ $rc = 0 ] || tail -n 30 $test.log | sed 's/^/# /'
		done
		for lab in loader share decap; do
			tree/tests/lab/test_$lab.sh >$lab.log 2>&1
			rc=$?
			! grep -qx '1\.\.1' $lab.log || rc=1 # all of it was skipped
			result $rc "tests/lab/test_$lab.sh: $(grep -c '^ok' $lab.log) checks pass"
			grep -A 4 '^not ok' $lab.log | sed 's/^/# /'
		done
		echo "1..$number"
	EOF
}

share_fill() {
	local tree=$work/share/tree

	mkdir -p "$work/share/modules" "$tree/tests" "$tree/build/tests/lab"
	cp -r tests/lab "$tree/tests/"
	cp -r build/bin "$tree/build/"
	cp -r build/tests/lab/tools "$tree/build/tests/lab/"
	cp build/bin/sluice-loader build/tests/program/test_* "$work/share/"
	rm -f "$work/share"/*.[od]
	guest_script >"$work/share/guest.sh"
}

boot() {
	timeout --foreground "$limit_s" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m "$memory_mb" \
		-nographic -no-reboot -nodefaults -serial stdio -net none \
		-kernel "$cache/root/boot/vmlinuz-$version" -initrd "$work/initramfs.gz" \
		-append "console=ttyS0 panic=-1 quiet mitigations=off" \
		-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
		-virtfs "local,path=$cache/root,mount_tag=modules,security_model=none,readonly=on" \
		-virtfs "local,path=$work/share,mount_tag=share,security_model=none" \
		</dev/null >"$work/serial" 2>&1
}

kernel_fetch || skip_all "Debian's kernel 6.1 cannot be downloaded (apt-get download)"
version=$(basename "$(compgen -G "$cache/root/boot/vmlinuz-6.1.*" | tail -n 1)")
version=${version#vmlinuz-}
[ -e "$cache/root/lib/modules/$version/modules.dep" ] || depmod -b "$PWD/$cache/root" "$version"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
initramfs_make
share_fill
boot
if [ ! -e "$work/share/rc" ]; then
	tail -n 20 "$work/serial" | sed 's/^/# /'
	echo "not ok 1 - the guest runs to its end within $limit_s s"
	echo "1..1"
	exit 1
fi
cat "$work/share/out"
! grep -q '^not ok' "$work/share/out" && [ "$(cat "$work/share/rc")" = 0 ]
