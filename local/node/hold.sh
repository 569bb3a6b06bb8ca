#!/bin/sh
# The first process of a real node, in network, mount and process namespaces of its own: when it ends, the kernel ends every process of
# the node and takes away its mounts and network interfaces.
#
# usage: hold.sh ENVIRONMENT NODE_FOLDER IMAGE_STORE VOLUMES PROGRAM_CACHE
set -eu
environment=$1 node=$2 store=$3 volumes=$4 programs=$5

# /proc is still the machine's: it tells by which number the machine knows this process.
read -r pid rest < /proc/self/stat

# The folders may lie below what is covered next; by a descriptor they can still be reached.
exec 3< "$environment" 4< "$programs" 5< "$store"
for covered in /tmp /var /run; do
  mount -t tmpfs -o mode=0755 tmpfs "$covered"
done
chmod 1777 /tmp
ln -s /run /var/run

# The path of the descriptor must not be resolved: that would lead to the covered folder.
show() {
  mkdir -p "$2"
  mount --no-canonicalize --bind "/proc/self/fd/$1" "$2"
}
show 3 "$environment"
show 4 "$programs"
show 5 /var/lib/containerd
exec 3<&- 4<&- 5<&-

# Where programs write by default: in the environment's folder instead of the machine's.
mkdir -p /var/lib/kubelet /var/log /var/volumes
mount --bind "$node/kubelet" /var/lib/kubelet
mount --bind "$node/log" /var/log
mount --bind "$volumes" /var/volumes

mount -t proc proc /proc
# Mounts below it, such as a pod's volumes, reach the containers' namespaces.
mount --make-rshared /
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward

echo "$pid" > "$node/pid.new"
mv "$node/pid.new" "$node/pid"

# As the first process it also takes over and buries orphans, which `wait` does.
sleep infinity &
wait
