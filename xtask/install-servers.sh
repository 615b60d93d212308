#!/bin/sh
# Installs Debian packages with what the tests start by themselves: servers on loopback, shells and
# tools. As root:
#
#     sh xtask/install-servers.sh openssh-server dropbear-bin telnetd-ssl busybox-static python3 iproute2 nftables \
#         bash zsh fish groff-base libxml2-utils nmap-common python3-libnmap
#
# Leaves no service behind: nothing that is new on this machine is started, now or at the next
# boot. telnetd is why: it brings inetd with it, and an entry there that opens port 23.
set -eu

policy=/usr/sbin/policy-rc.d
stand_ins=$(mktemp -d)
downloads=$(mktemp -d)
new_policy=
trap 'rm -rf "$stand_ins" "$downloads" $new_policy' EXIT
trap 'exit 1' HUP INT TERM

# Whatever starts services for a package asks this program first; no environment variable is
# asked by all. One that is there already is the machine's own policy, and stays.
if [ ! -e "$policy" ]; then
    new_policy=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

# telnetd makes a certificate for this machine's domain, and fails to install where the machine's
# name can't be looked up.
printf '#!/bin/sh\n/bin/hostname "$@" || echo localhost\n' >"$stand_ins/hostname"
chmod 755 "$stand_ins" "$stand_ins/hostname"

new_services=
for service in ssh openbsd-inetd; do
    [ -e "/etc/init.d/$service" ] || new_services="$new_services $service"
done

export DEBIAN_FRONTEND=noninteractive
# A machine that has just booted may still be busy with its own updates.
patience="-o DPkg::Lock::Timeout=120"
apt-get $patience update

# busybox-static would drive out the package busybox, which this machine may boot with but which
# has no telnetd. So only its program is taken, under a name of its own.
take_busybox() {
    (cd "$downloads" && apt-get download busybox-static)
    dpkg-deb --fsys-tarfile "$downloads"/busybox-static_*.deb |
        tar -xO --wildcards '*/bin/busybox' >"$downloads/busybox"
    install -m 755 "$downloads/busybox" /usr/local/sbin/busybox-static
}

packages=
for package; do
    case $package in
    busybox-static) take_busybox ;;
    *) packages="$packages $package" ;;
    esac
done
[ -n "$packages" ] || exit 0

status=0
apt-get $patience -o DPkg::Path="$stand_ins:/usr/sbin:/usr/bin:/sbin:/bin" \
    install -y --no-install-recommends $packages || status=$?

# Also after a failure: it may have come when the services were already there.
for service in $new_services; do
    [ ! -e "/etc/init.d/$service" ] || update-rc.d "$service" disable
done
case " $* " in
*" telnetd-ssl "*) [ ! -e /etc/inetd.conf ] || update-inetd --disable telnet ;;
esac
exit "$status"
