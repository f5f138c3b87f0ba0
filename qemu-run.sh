#!/usr/bin/env bash
# Builds Millrace, runs it under QEMU, tests and measures it. `./qemu-run.sh help` lists the verbs.
#
# Statuses: 0 all is well; 1 something failed; 2 it was asked for what cannot be, or something is missing that it
# cannot install. `run` and `gdb` end with 0 when the guest ended as done, else with QEMU's own status.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly ROOT
readonly ELF=$ROOT/target/millrace.elf
readonly ISO=$ROOT/target/millrace.iso
readonly DEBUG=$ROOT/target/millrace.debug
readonly FAULT_ELF=$ROOT/target/millrace-fault.elf
# QEMU's status after the guest wrote 0x10, "done", to isa-debug-exit: (code << 1) | 1.
readonly GUEST_DONE=33
# UEFI for virtual machines, with its variables in the same file, so that they last as long as the guest.
readonly OVMF=/usr/share/ovmf/OVMF.fd
# The least memory in MiB with which the image boots and can say something: directly, from the ISO by BIOS, and by UEFI. GRUB
# takes 32 MiB for itself under UEFI (2.12), which with OVMF makes it 75 on q35.
readonly DIRECT_MIB=4 BIOS_MIB=8 UEFI_MIB=80
# The longest kernel command line that the image accepts, in bytes (MAX_LINE in boot/src/command_line.rs). QEMU overwrites its
# own start_info with a longer one when it loads the image.
readonly LINE_MAX=4096

usage() {
    cat <<'TEXT'
usage: ./qemu-run.sh [VERB]

  (none)            the demonstration: real traffic through a booted appliance; no root, no configuration
  build [--iso [-- KEY=VALUE…]]
                    builds the image; with --iso, also an ISO that boots as a CD and as a disk, under BIOS and UEFI,
                    with the kernel command line in its menu; the last line printed is the path
  run [OPTION]… [-- KEY=VALUE…]
                    runs the image; on its console, s prints counters, q stops it, Ctrl-C ends QEMU
  gdb [OPTION]… [-- KEY=VALUE…]
                    the same, waiting for a debugger
  test              every test there is
  bench [--detail FILE]
                    every benchmark; with --detail, also writes the guest instructions of each block to FILE
  help              this

options of run and gdb
  --nic MODEL[:PROP=VALUE…],BACKEND
                    a card, once for each, in the order of their names (default: two of virtio,user, or on microvm of
                    virtio-mmio,user). MODEL: virtio, e1000, e1000e, e1000-82544gc or e1000-82545em, on microvm
                    virtio-mmio as well, with the properties of QEMU's device of that name (virtio-net-pci for virtio,
                    virtio-net-device for virtio-mmio), a comma between them. virtio-mmio has one of virtio-mmio itself,
                    the same for all cards: force-legacy=on (QEMU's default, registers of version 1) or off (version 2).
                    virtio has one of ours: queues=N, for N queue pairs (1 to 64) where the BACKEND has as many; the image
                    uses those that the key queues=N of its command line allows.
                    BACKEND: user, user:HOSTPORT (also forwards TCP from that port of 127.0.0.1 to port 80 of 10.0.2.15,
                    the first address that this network gives by DHCP), tap:NAME, dgram:LOCAL:PEER (unix sockets),
                    vhost-user:PATH (virtio and virtio-mmio only)
  --machine TYPE    pc, q35 (default) or microvm
  --memory SIZE     such as 64M (default; 128M with --firmware uefi) or 1G; at least 4M, with --iso 8M, with
                    --firmware uefi 80M
  --cpus N          virtual CPUs (default 1)
  --accel WHICH     auto (default), tcg or kvm
  --capture FILE    what passes each card, as pcap: FILE with the card's number in front of its suffix
  --iso             boots from an ISO, made anew with this kernel command line, instead of directly; pc and q35 only
  --medium WHICH    what the ISO is to the guest: cd (default) or disk
  --firmware WHICH  what boots the ISO: bios (default) or uefi
  --dry-run         prints the QEMU command and does nothing
  -- KEY=VALUE…     the kernel command line, of at most 4096 bytes

gdb listens on port 1234 of this host, or on the one in GDB_PORT.
TEXT
}

say() { printf '%s\n' "$*" >&2; }

# Something that should have worked did not.
fail() {
    say "qemu-run.sh: $*"
    exit 1
}

# Wrong use, or something missing that cannot be installed.
refuse() {
    say "qemu-run.sh: $*"
    exit 2
}

is_root() { [ "$(id -u)" = 0 ]; }

#--- what is needed -------------------------------------------------------------------------------------------------

# tools_of GROUP: what that group needs, a line each: a command, or a file, and the Debian package that has it.
tools_of() {
    case $1 in
        # Rust links with a C compiler's driver, which Debian can install without the C library's files for linking.
        build) printf '%s\n' 'cc gcc' 'Scrt1.o libc6-dev' 'objcopy binutils' ;;
        qemu) printf '%s\n' 'qemu-system-x86_64 qemu-system-x86' 'setpriv util-linux' ;;
        # GRUB for both firmwares, and the tools that grub-mkrescue makes an ISO with; it leaves out what it does not find.
        grub)
            printf '%s\n' 'grub-mkrescue grub-common' 'xorriso xorriso' 'mformat mtools' \
                '/usr/lib/grub/i386-pc/moddep.lst grub-pc-bin' '/usr/lib/grub/x86_64-efi/moddep.lst grub-efi-amd64-bin'
            ;;
        ovmf) printf '%s\n' "$OVMF ovmf" ;;
        # Option ROMs, with which firmware drives cards in some tests.
        option_roms)
            printf '%s\n' '/usr/lib/ipxe/qemu/pxe-e1000.rom ipxe-qemu' '/usr/lib/ipxe/qemu/pxe-e1000e.rom ipxe-qemu'
            ;;
        # The other side of vhost-user cards in tests. The package depends on the drivers.
        testpmd) printf '%s\n' 'dpdk-testpmd dpdk-dev' ;;
        # Hosts in network namespaces, which only root can make.
        hosts) ! is_root || printf '%s\n' 'ip iproute2' 'ping iputils-ping' 'iperf3 iperf3' ;;
    esac
}

# has COMMAND: whether that command is there; or that file, when it is a path; or that object file, for the C compiler.
has() {
    case $1 in
        /*) [ -e "$1" ] ;;
        *.o) command -v cc >/dev/null && [ -e "$(cc -print-file-name="$1")" ] ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# need GROUP…: checks all tools of these groups and Rust at once, and installs the packages that are missing where it can.
# Nothing is downloaded unless rustup works.
need() {
    local group tool package missing=() packages=()
    for group; do
        while read -r tool package; do
            has "$tool" && continue
            missing+=("$tool")
            [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
        done < <(tools_of "$group")
    done
    check_rustup
    [ ${#packages[@]} -eq 0 ] || install_packages
    need_nightly
}

# apt_command PACKAGE…: the command that installs these packages.
apt_command() {
    printf 'apt-get update && apt-get install -y --no-install-recommends %s' "$*"
}

# package_advice PACKAGE…: the end of a message: how to install these, or their names where there is no apt-get.
package_advice() {
    if command -v apt-get >/dev/null; then
        printf 'Run as root:\n  %s' "$(apt_command "$@")"
    else
        printf 'On Debian these are in the packages:\n  %s' "$*"
    fi
}

# Whether this is Debian 13 or later, which has a package of rustup. Testing and unstable have no number.
has_rustup_package() {
    local ID='' VERSION_ID=''
    [ ! -r /etc/os-release ] || . /etc/os-release
    [ "$ID" = debian ] && ((${VERSION_ID:-99} >= 13))
}

# Refuses unless rustup is there and has a toolchain for the crates that build on stable. The message names the calling
# need's missing packages too, since nothing is installed then.
check_rustup() {
    local advice=''
    if command -v rustup >/dev/null && command -v cargo >/dev/null; then
        (cd "$ROOT" && cargo --version) >/dev/null 2>&1 && return
        advice=$'rustup has no toolchain that works here. Run:\n  rustup default stable'
    elif has_rustup_package; then
        # Without recommended packages, rustup would have no certificates to download with.
        packages=(rustup ca-certificates ${packages[@]+"${packages[@]}"})
        refuse "missing: rustup${missing[*]+ ${missing[*]}}. $(package_advice "${packages[@]}")"$'\n'\
$'Then run as the user who builds:\n  rustup default stable'
    else
        advice="missing: rustup. Install it as https://rustup.rs says, with the stable toolchain"
    fi
    [ ${#packages[@]} -eq 0 ] || advice+=$'\n'"Also missing: ${missing[*]}. $(package_advice "${packages[@]}")"
    refuse "$advice"
}

# Installs the calling need's packages, or says how.
install_packages() {
    if ! is_root || ! command -v apt-get >/dev/null; then
        refuse "missing: ${missing[*]}. $(package_advice "${packages[@]}")"
    fi
    say "installing ${packages[*]} for ${missing[*]}"
    DEBIAN_FRONTEND=noninteractive sh -c "$(apt_command "${packages[@]}")" </dev/null >/dev/null ||
        refuse "cannot install ${packages[*]}. $(package_advice "${packages[@]}")"
}

# The nightly that kernel/rust-toolchain.toml pins, which also says why.
nightly() {
    sed -n 's/^channel *= *"\(.*\)"/\1/p' "$ROOT/kernel/rust-toolchain.toml"
}

# Installs the nightly explicitly: rustup may be configured not to install toolchains by itself.
need_nightly() {
    local toolchain sysroot
    toolchain=$(nightly)
    [ -n "$toolchain" ] || refuse "kernel/rust-toolchain.toml names no channel"
    if sysroot=$(rustup run "$toolchain" rustc --print sysroot 2>/dev/null) &&
        [ -d "$sysroot/lib/rustlib/src/rust/library/core" ]; then
        return
    fi
    local install="rustup toolchain install $toolchain --profile minimal --component rust-src"
    say "installing the kernel's toolchain: $install"
    $install </dev/null >&2 || refuse $'cannot install the kernel\'s toolchain. Run:\n  '"$install"
}

#--- build ----------------------------------------------------------------------------------------------------------

# build_image OUTPUT [CARGO OPTION…]: the stripped image.
build_image() {
    local output=$1 built=$ROOT/target/x86_64-target/release/millrace
    shift
    (cd "$ROOT/kernel" && cargo "+$(nightly)" build --release --bin millrace --target-dir "$ROOT/target" "$@" </dev/null >&2) ||
        fail "the image does not build"
    objcopy --strip-all "$built" "$output.new"
    mv "$output.new" "$output"
}

build() {
    build_image "$ELF"
    objcopy --only-keep-debug "$ROOT/target/x86_64-target/release/millrace" "$DEBUG"
}

# Sets MENU to the words of a kernel command line as GRUB's menu wants them, each in single quotes. GRUB puts the double
# quotes of its own around a word with blanks, and a backslash in front of each quote and backslash.
menu_words() {
    local LC_ALL=C rest=$1 word
    check_line "$1"
    local shape='^("([^"]+)"|([^"=[:space:]]+=)"([^"]*)"|([^"[:space:]]+))([[:space:]]+(.*))?$'
    MENU=''
    while rest=${rest#"${rest%%[![:space:]]*}"} && [ -n "$rest" ]; do
        [[ $rest =~ $shape ]] ||
            refuse "kernel command line, from $rest on: a word is KEY=VALUE, or with blanks KEY=\"A B\" or \"KEY=A B\""
        word=${BASH_REMATCH[2]}${BASH_REMATCH[3]}${BASH_REMATCH[4]}${BASH_REMATCH[5]}
        rest=${BASH_REMATCH[7]}
        [[ $word != *[\'\\[:cntrl:]]* ]] ||
            refuse "kernel command line: GRUB cannot pass on $word as it is: it has a quote, a backslash or a control character"
        MENU+=" '$word'"
    done
}

# The menu has one entry and does not wait. Without a serial port GRUB keeps to the screen.
grub_menu() {
    cat <<TEXT
set timeout=0
if serial --unit=0 --speed=115200; then
    terminal_input console serial
    terminal_output console serial
fi
menuentry 'Millrace' {
    multiboot2 /boot/millrace.elf$MENU
}
TEXT
}

# The image and MENU as an ISO. It is made in a folder of its own, since the last one may be in use; the folder goes away
# however this ends.
build_iso() (
    work=$(mktemp -d "$ROOT/target/iso.XXXXXX")
    trap 'rm -r "$work"' EXIT
    mkdir -p "$work/tree/boot/grub"
    cp "$ELF" "$work/tree/boot/millrace.elf"
    grub_menu >"$work/tree/boot/grub/grub.cfg"
    said=$(grub-mkrescue --locales= --fonts= --themes= --output="$work/new.iso" "$work/tree" </dev/null 2>&1) ||
        fail "grub-mkrescue makes no ISO: $said"
    mv "$work/new.iso" "$ISO"
)

verb_build() {
    case ${1-} in
        '')
            need build
            build
            printf '%s\n' "$ELF"
            ;;
        --iso)
            shift
            verb_build_iso "$@"
            ;;
        --) refuse "build: only an ISO has a kernel command line in it: build --iso -- KEY=VALUE…" ;;
        *) refuse "build: unknown option '$1' (there is --iso)" ;;
    esac
}

verb_build_iso() {
    [ $# -eq 0 ] || [ "$1" = -- ] ||
        refuse "build --iso: unknown option '$1'; the kernel command line comes after --"
    menu_words "${*:2}"
    need build grub
    build
    build_iso
    printf '%s\n' "$ISO"
}

#--- run ------------------------------------------------------------------------------------------------------------

# Sets ACCEL to tcg or kvm, and ACCEL_REASON. KVM needs a processor that virtualises and a /dev/kvm that opens; some machines
# have only the file.
pick_accel() {
    local why=''
    if ! grep -qE '^flags.*\b(vmx|svm)\b' /proc/cpuinfo; then
        why="/proc/cpuinfo shows neither vmx nor svm"
    elif ! { : <>/dev/kvm; } 2>/dev/null; then
        why="/dev/kvm does not open for reading and writing"
    fi
    if [ "$1" = tcg ]; then
        ACCEL=tcg why="as asked for"
    elif [ -z "$why" ]; then
        ACCEL=kvm
    elif [ "$1" = kvm ]; then
        refuse "--accel kvm: $why"
    else
        ACCEL=tcg
    fi
    ACCEL_REASON=$why
}

# The models of cards that this machine can have.
models() {
    local mmio=''
    [ "$MACHINE" != microvm ] || mmio=' virtio-mmio,'
    printf '%s' "virtio,$mmio e1000, e1000e, e1000-82544gc and e1000-82545em"
}

# add_card NUMBER SPEC: one card, as words of QEMU's command line in COMMAND.
add_card() {
    local number=$1 spec=$2 model=${2%%[:,]*} device='' properties='' backend='' queues=1
    case $model in
        virtio) device=virtio-net-pci ;;
        virtio-mmio) device=virtio-net-device ;;
        e1000 | e1000e | e1000-82544gc | e1000-82545em) device=$model ;;
        *) refuse "--nic $spec: unknown model '$model' ($MACHINE has $(models))" ;;
    esac
    [ "$MACHINE" = microvm ] || [ "$model" != virtio-mmio ] ||
        refuse "--nic $spec: virtio-mmio is for --machine microvm ($MACHINE has $(models))"
    [[ $model == virtio* || $spec != *,vhost-user* ]] ||
        refuse "--nic $spec: vhost-user is a backend for virtio and virtio-mmio only"
    # The backend is the last part: the first comma that is followed by one's name ends the properties.
    [[ $spec =~ ^[^,:]+(:(.*))?,((user|tap|dgram|vhost-user)(:.*)?)$ ]] ||
        refuse "--nic $spec: no backend (user, user:HOSTPORT, tap:NAME, dgram:LOCAL:PEER or vhost-user:PATH)"
    backend=${BASH_REMATCH[3]}
    # A colon between properties will do as well: it is followed by a name and a "=", unlike those in an address.
    properties=$(sed -E 's/:([a-z][a-z0-9_.-]*=)/,\1/g' <<<"${BASH_REMATCH[2]}")
    [ "$model" != virtio-mmio ] || take_force_legacy "$spec"
    [ "$model" != virtio ] || take_queues "$spec" "$backend"
    add_backend "$number" "$spec" "$backend" "$queues"
    device+=",netdev=net$number"
    # No option ROM: those come from a package that QEMU does not need otherwise.
    [ "$model" = virtio-mmio ] || device+=,romfile=
    [[ ,$properties == *,mac=* ]] || device+=",mac=52:54:00:00:00:$(printf '%02x' $((number + 1)))"
    # QEMU 7.2 crashes when a vhost-user card enables MSI-X under TCG.
    if [[ $model != virtio-mmio && $backend == vhost-user* && $ACCEL == tcg ]]; then
        device+=,vectors=0
    elif ((queues > 1)); then
        # One for each queue, one for the control queue, one for changes of the configuration.
        device+=,vectors=$((2 * queues + 2))
    fi
    ((queues == 1)) || device+=,mq=on
    device+=${properties:+,$properties}
    if [ "$model" = virtio-mmio ]; then
        # microvm gives the first device the highest address, and cards are named by ascending ones.
        MMIO_DEVICES=(-device "$device" ${MMIO_DEVICES[@]+"${MMIO_DEVICES[@]}"})
    else
        DEVICES+=(-device "$device")
    fi
    [ -z "$CAPTURE" ] || COMMAND+=(-object "filter-dump,id=dump$number,netdev=net$number,file=$(comma "$(capture_file "$number")")")
}

# take_force_legacy SPEC: moves the property of virtio-mmio, which QEMU has for all cards at once, from the calling
# add_card's properties to FORCE_LEGACY.
take_force_legacy() {
    local word rest='' value=on
    local IFS=,
    for word in $properties; do
        case $word in
            force-legacy=on | force-legacy=off) value=${word#*=} ;;
            force-legacy=*) refuse "--nic $1: '$word' (there are force-legacy=on and force-legacy=off)" ;;
            *) rest+=${rest:+,}$word ;;
        esac
    done
    properties=$rest
    [ "${FORCE_LEGACY:-$value}" = "$value" ] || refuse "--nic $1: force-legacy is the same for all cards"
    FORCE_LEGACY=$value
}

# take_queues SPEC BACKEND: moves the property queues from the calling add_card's properties to its queues.
take_queues() {
    local word rest=''
    local IFS=,
    for word in $properties; do
        case $word in
            queues=*) queues=${word#*=} ;;
            *) rest+=${rest:+,}$word ;;
        esac
    done
    properties=$rest
    if ! [[ $queues =~ ^[0-9]{1,2}$ ]] || ((10#$queues < 1 || 10#$queues > 64)); then
        refuse "--nic $1: queues=$queues (there can be 1 to 64)"
    fi
    queues=$((10#$queues))
    ((queues == 1)) || [[ $2 == tap:* || $2 == vhost-user:* ]] ||
        refuse "--nic $1: queues=$queues, and ${2%%:*} has one queue (tap and vhost-user can have more)"
}

# add_backend NUMBER SPEC BACKEND QUEUES
add_backend() {
    local number=$1 spec=$2 kind=${3%%:*} rest='' queues=''
    (($4 == 1)) || queues=,queues=$4
    [[ $3 != *:* ]] || rest=${3#*:}
    case $kind in
        user)
            [ -z "$rest" ] || check_port "--nic $spec" "$rest"
            COMMAND+=(-netdev "user,id=net$number${rest:+,hostfwd=tcp:127.0.0.1:$rest-:80}")
            ;;
        tap)
            [[ $rest =~ ^[^/,:[:space:]]{1,15}$ ]] || refuse "--nic $spec: '$rest' is no name of a TAP device"
            # Without offloads a frame needs no header for them, which would be in the way of --capture.
            COMMAND+=(-netdev "tap,id=net$number,ifname=$rest,script=no,downscript=no,vnet_hdr=off$queues")
            ;;
        dgram)
            [[ $rest =~ ^([^:]+):([^:]+)$ ]] || refuse "--nic $spec: dgram wants two sockets, dgram:LOCAL:PEER"
            COMMAND+=(-netdev "dgram,id=net$number,local.type=unix,local.path=$(comma "${BASH_REMATCH[1]}"),remote.type=unix,remote.path=$(comma "${BASH_REMATCH[2]}")")
            ;;
        vhost-user)
            [ -n "$rest" ] || refuse "--nic $spec: vhost-user wants a socket, vhost-user:PATH"
            [ -z "$CAPTURE" ] || refuse "--capture: QEMU does not see the packets of a vhost-user card"
            IS_SHARED=yes
            COMMAND+=(-chardev "socket,id=char$number,path=$(comma "$rest")" -netdev "vhost-user,id=net$number,chardev=char$number$queues")
            ;;
    esac
}

check_port() {
    if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || ((10#$2 < 1 || 10#$2 > 65535)); then
        refuse "$1: '$2' is no port (1 to 65535)"
    fi
}

# A comma inside of one of QEMU's options is written twice.
comma() { printf '%s' "${1//,/,,}"; }

capture_file() {
    case ${CAPTURE##*/} in
        *.*) printf '%s-%s.%s' "${CAPTURE%.*}" "$1" "${CAPTURE##*.}" ;;
        *) printf '%s-%s' "$CAPTURE" "$1" ;;
    esac
}

# Reads the options of run and gdb into variables.
parse_run() {
    MACHINE=q35 MEMORY='' CPUS=1 ACCEL=auto CAPTURE='' IS_DRY='' IS_ISO='' MEDIUM='' FIRMWARE='' WORDS='' NICS=()
    while [ $# -gt 0 ]; do
        case $1 in
            --dry-run) IS_DRY=yes ;;
            --iso) IS_ISO=yes ;;
            --)
                shift
                WORDS=$*
                return
                ;;
            --nic | --machine | --memory | --cpus | --accel | --capture | --medium | --firmware)
                [ $# -ge 2 ] || refuse "$1 wants a value"
                parse_value "$1" "$2"
                shift
                ;;
            *) refuse "unknown option '$1'; the kernel command line comes after --, and ./qemu-run.sh help lists the options" ;;
        esac
        shift
    done
}

parse_value() {
    case $1 in
        --nic) NICS+=("$2") ;;
        --machine) check "$@" '^(pc|q35|microvm)$' 'there are pc, q35 and microvm' && MACHINE=$2 ;;
        --memory) check "$@" '^[1-9][0-9]{0,6}[MG]$' 'give a size such as 64M or 1G' && MEMORY=$2 ;;
        --cpus) check "$@" '^[1-9][0-9]{0,2}$' 'give a number from 1 on' && CPUS=$2 ;;
        --accel) check "$@" '^(auto|tcg|kvm)$' 'there are auto, tcg and kvm' && ACCEL=$2 ;;
        --capture) check "$@" '.' 'give the name of a file' && CAPTURE=$2 ;;
        --medium) check "$@" '^(cd|disk)$' 'there are cd and disk' && MEDIUM=$2 ;;
        --firmware) check "$@" '^(bios|uefi)$' 'there are bios and uefi' && FIRMWARE=$2 ;;
    esac
}

# check OPTION VALUE PATTERN HINT
check() {
    [[ $2 =~ $3 ]] || refuse "$1 '$2': $4"
}

# check_line WORDS: refuses a kernel command line that is too long.
check_line() {
    local LC_ALL=C
    ((${#1} <= LINE_MAX)) || refuse "the kernel command line has ${#1} bytes; the image accepts at most $LINE_MAX"
}

# Sets MEMORY to the default unless it is given, and refuses too little of it.
check_memory() {
    local least=$DIRECT_MIB boot='when QEMU loads the image' mib
    if [ "$FIRMWARE" = uefi ]; then
        least=$UEFI_MIB boot='with --firmware uefi' MEMORY=${MEMORY:-128M}
    elif [ -n "$IS_ISO" ]; then
        least=$BIOS_MIB boot='with --iso'
    fi
    MEMORY=${MEMORY:-64M}
    mib=${MEMORY%[MG]}
    [[ $MEMORY == *M ]] || mib=$((mib * 1024))
    ((mib >= least)) || refuse "--memory $MEMORY: the image does not boot with less than ${least}M $boot"
}

# Sets BOOT to the words of QEMU's command line that say where the image and its command line come from.
boot_words() {
    if [ -z "$IS_ISO" ]; then
        [ -z "$MEDIUM$FIRMWARE" ] || refuse "--medium and --firmware go with --iso; without it QEMU loads the image itself"
        check_line "$WORDS"
        BOOT=(-kernel "$ELF" -append "$WORDS")
        return
    fi
    [ "$MACHINE" != microvm ] || refuse "--iso: microvm has neither a CD nor a disk to boot from; there are pc and q35"
    menu_words "$WORDS"
    # First in the order of boot: before it gets there, UEFI would ask each network for something to boot.
    if [ "${MEDIUM:-cd}" = cd ]; then
        BOOT=(-drive "if=none,id=iso,format=raw,readonly=on,file=$(comma "$ISO")" -device 'ide-cd,drive=iso,bootindex=0')
    else
        # A disk can be written to: what is written is gone with QEMU.
        BOOT=(-drive "if=none,id=iso,format=raw,snapshot=on,file=$(comma "$ISO")" -device 'ide-hd,drive=iso,bootindex=0')
    fi
    [ "$FIRMWARE" != uefi ] || BOOT+=(-bios "$OVMF")
}

# Sets COMMAND from what parse_run read.
qemu_command() {
    local number=0 cpu=max nic machine=$MACHINE
    IS_SHARED='' FORCE_LEGACY='' DEVICES=() MMIO_DEVICES=()
    boot_words
    check_memory
    pick_accel "$ACCEL"
    [ "$ACCEL" = tcg ] || cpu=host
    COMMAND=(qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot
        -accel "$ACCEL" -cpu "$cpu" -smp "$CPUS" -m "$MEMORY"
        -chardev 'stdio,id=console,signal=on' -serial chardev:console
        -device 'isa-debug-exit,iobase=0xf4,iosize=4'
        "${BOOT[@]}")
    [ "$MACHINE" != microvm ] || [ ${#NICS[@]} -gt 0 ] || NICS=('virtio-mmio,user' 'virtio-mmio,user')
    [ ${#NICS[@]} -gt 0 ] || NICS=('virtio,user' 'virtio,user')
    for nic in ${NICS[@]+"${NICS[@]}"}; do
        add_card "$number" "$nic"
        number=$((number + 1))
    done
    COMMAND+=(${FORCE_LEGACY:+-global "virtio-mmio.force-legacy=$FORCE_LEGACY"}
        ${DEVICES[@]+"${DEVICES[@]}"} ${MMIO_DEVICES[@]+"${MMIO_DEVICES[@]}"})
    if [ "$MACHINE" = microvm ]; then
        # ACPI says where PCI is, and virtio-mmio as well. Without it QEMU puts the places of virtio-mmio cards on the
        # kernel command line, as other monitors do.
        if [ ${#DEVICES[@]} -gt 0 ]; then machine+=,pcie=on; else machine+=,acpi=off; fi
    fi
    # The other side of a vhost-user card maps the guest's memory.
    if [ -n "$IS_SHARED" ]; then
        COMMAND+=(-machine "$machine,memory-backend=memory" -object "memory-backend-memfd,id=memory,size=$MEMORY,share=on")
    else
        COMMAND+=(-machine "$machine")
    fi
}

# launch [NOTE]: runs COMMAND, or shows it. What is said comes behind every reason to refuse.
launch() {
    local groups=(build qemu)
    [ -z "$IS_ISO" ] || groups+=(grub)
    [ "$FIRMWARE" != uefi ] || groups+=(ovmf)
    [ -n "$IS_DRY" ] || need "${groups[@]}"
    say "acceleration: $ACCEL${ACCEL_REASON:+ ($ACCEL_REASON)}"
    [ $# -eq 0 ] || say "$1"
    if [ -n "$IS_DRY" ]; then
        show_command
        return
    fi
    build
    [ -z "$IS_ISO" ] || build_iso
    local status=0
    "${COMMAND[@]}" || status=$?
    [ "$status" != "$GUEST_DONE" ] || status=0
    return "$status"
}

# COMMAND as it would be typed.
show_command() {
    local word line=''
    for word in "${COMMAND[@]}"; do
        [[ $word =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]] || word=${word@Q}
        line+="$word "
    done
    printf '%s\n' "${line% }"
}

verb_run() {
    parse_run "$@"
    qemu_command
    launch
}

verb_gdb() {
    parse_run "$@"
    qemu_command
    local port=${GDB_PORT:-1234}
    check_port GDB_PORT "$port"
    COMMAND+=(-gdb "tcp:127.0.0.1:$port" -S)
    launch "the guest waits for: gdb $DEBUG -ex 'target remote 127.0.0.1:$port'"
}

#--- demonstration, tests, benchmarks -------------------------------------------------------------------------------

# harness SUBCOMMAND OPTION…: cargo on the crate that boots images. Its tests find the images through the environment.
harness() {
    local subcommand=$1
    shift
    MILLRACE_ELF=$ELF MILLRACE_FAULT_ELF=$FAULT_ELF cargo "$subcommand" --manifest-path "$ROOT/Cargo.toml" \
        --target-dir "$ROOT/target" --package millrace-tests --profile harness "$@" </dev/null
}

# program NAME ARGUMENT…: builds the image, builds one of the harness's programs, and becomes it.
program() {
    build
    harness build --bin "$1" || fail "the harness does not build"
    MILLRACE_ELF=$ELF exec "$ROOT/target/harness/$1" "${@:2}"
}

verb_demo() {
    need build qemu
    program demo
}

verb_bench() {
    local file=()
    case ${1-} in
        '') ;;
        --detail)
            [ $# -eq 2 ] || refuse "bench --detail: wants one FILE"
            file=("$2")
            ;;
        *) refuse "bench: unknown option '$1' (there is --detail)" ;;
    esac
    need build qemu hosts
    program bench ${file[@]+"${file[@]}"}
}

# step TITLE COMMAND…: a part of `test`. Its output is shown and logged; one that fails is named at the end.
step() {
    local title=$1
    shift
    say "--- $title"
    "$@" </dev/null 2>&1 | tee -a "$TEST_LOG" || FAILED_STEPS+=("$title")
}

# host_tests OPTION…: cargo's tests of the crates that run on the host.
host_tests() {
    cargo test --manifest-path "$ROOT/Cargo.toml" --target-dir "$ROOT/target" "$@"
}

# thorough_tests PACKAGE TEST FILTER…: tests that are too long for an unoptimised build, with its assertions.
thorough_tests() {
    host_tests --package "$1" --test "$2" --profile harness --config 'profile.harness.debug-assertions=true' \
        -- --ignored --nocapture "${@:3}"
}

loom_tests() {
    RUSTFLAGS="--cfg loom" cargo test --manifest-path "$ROOT/Cargo.toml" --target-dir "$ROOT/target/loom" --package nm-core \
        --release --lib loom
}

verb_test() {
    [ $# -eq 0 ] || refuse "test takes no options"
    need build qemu grub ovmf option_roms testpmd hosts
    readonly TEST_LOG=$ROOT/target/test.log
    FAILED_STEPS=()
    mkdir -p "$ROOT/target"
    : >"$TEST_LOG"

    step "the crates that run on the host, on stable" host_tests --no-fail-fast
    step "the protocols between threads, in every order (loom)" loom_tests
    step "ten million hostile operations on raw ports" thorough_tests nm-core hostile
    step "every answer of a device in every state of a small queue" thorough_tests millrace-drivers suite enumeration

    say "--- the image, and the one that provokes faults"
    build
    build_image "$FAULT_ELF" --features fault-injection

    local skip=()
    if ! is_root; then
        skip=(--skip root_)
        say "These need root and are left out:"
        harness test --test 'root_*' -- --list 2>/dev/null | sed -n 's/^\(.*\): test$/  \1/p' >&2
    fi
    step "the image in QEMU" harness test --no-fail-fast -- ${skip[@]+"${skip[@]}"}

    summarize
}

# Adds up cargo's own closing lines, and names the parts of `test` that failed: also one that did not get as far as its tests.
summarize() {
    awk '/^test result:/ { passed += $4; failed += $6 }
         END { printf "\n%d passed, %d failed\n", passed, failed }' "$TEST_LOG"
    [ ${#FAILED_STEPS[@]} -gt 0 ] || return 0
    printf 'failed: %s\n' "${FAILED_STEPS[@]}"
    return 1
}

main() {
    local verb=${1-}
    [ $# -eq 0 ] || shift
    case $verb in
        '') verb_demo ;;
        build | run | gdb | test | bench) "verb_$verb" "$@" ;;
        help | --help | -h) usage ;;
        *) refuse "unknown verb '$verb'; there are build, run, gdb, test, bench and help, and none for the demonstration" ;;
    esac
}

main "$@"
