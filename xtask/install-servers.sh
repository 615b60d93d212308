#!/bin/sh
# Installs the Debian packages of the programs that the tests start: servers on loopback, shells and
# tools. Run it as root:
#
#     sh xtask/install-servers.sh openssh-server dropbear-bin telnetd-ssl inetutils-telnetd busybox-static \
#         python3 iproute2 nftables bash zsh fish groff-base libxml2-utils nmap-common python3-libnmap python3-nmap \
#         python3-prometheus-client python3-junitparser python3-jsonschema ndiff xsltproc python3-venv \
#         chromium nodejs npm
#
# No new service is started, now or at the next boot. The reason is telnetd: its package brings inetd
# and an entry in its configuration that opens port 23.
set -eu

policy=/usr/sbin/policy-rc.d
wrappers=$(mktemp -d)
downloads=$(mktemp -d)
new_policy=
trap 'rm -rf "$wrappers" "$downloads" $new_policy' EXIT
trap 'exit 1' HUP INT TERM

# Debian's tools run this program before they start a service for a package. No environment variable
# works with all of them. A program that exists already is the machine's own policy and stays.
if [ ! -e "$policy" ]; then
    new_policy=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

# The package of telnetd creates a certificate for this machine's domain, and its installation fails
# if the machine's name can't be resolved. This wrapper answers with localhost then.
printf '#!/bin/sh\n/bin/hostname "$@" || echo localhost\n' >"$wrappers/hostname"
chmod 755 "$wrappers" "$wrappers/hostname"

new_services=
for service in ssh openbsd-inetd; do
    [ -e "/etc/init.d/$service" ] || new_services="$new_services $service"
done

export DEBIAN_FRONTEND=noninteractive
# A machine that has just booted may still hold the lock for its own updates: wait up to 120 seconds.
lock_timeout="-o DPkg::Lock::Timeout=120"
apt-get $lock_timeout update

# The package busybox-static conflicts with the package busybox, which this machine may need to boot
# but which lacks telnetd. So only the program is installed, under a name of its own.
install_busybox() {
    (cd "$downloads" && apt-get download busybox-static)
    dpkg-deb --fsys-tarfile "$downloads"/busybox-static_*.deb |
        tar -xO --wildcards '*/bin/busybox' >"$downloads/busybox"
    install -m 755 "$downloads/busybox" /usr/local/sbin/busybox-static
}

# The package inetutils-telnetd conflicts with telnetd-ssl, and the tests need both.
install_inetutils() {
    (cd "$downloads" && apt-get download inetutils-telnetd)
    dpkg-deb --fsys-tarfile "$downloads"/inetutils-telnetd_*.deb |
        tar -xO --wildcards '*/sbin/telnetd' >"$downloads/telnetd"
    install -m 755 "$downloads/telnetd" /usr/local/sbin/inetutils-telnetd
}

packages=
for package; do
    case $package in
    busybox-static) install_busybox ;;
    inetutils-telnetd)
        install_inetutils
        packages="$packages libcom-err2 libk5crypto3 libkrb5-3 libtinfo6"
        ;;
    *) packages="$packages $package" ;;
    esac
done
[ -n "$packages" ] || exit 0

status=0
apt-get $lock_timeout -o DPkg::Path="$wrappers:/usr/sbin:/usr/bin:/sbin:/bin" \
    install -y --no-install-recommends $packages || status=$?

# Disable the services after a failure too: it may have come after they were installed.
for service in $new_services; do
    [ ! -e "/etc/init.d/$service" ] || update-rc.d "$service" disable
done
case " $* " in
*" telnetd-ssl "*) [ ! -e /etc/inetd.conf ] || update-inetd --disable telnet ;;
esac
exit "$status"
