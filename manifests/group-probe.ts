/**
 * The probe of a pod in a group (see group.ts), run by `python3 -c` with arguments: mode, rendezvous port, HTTP port. The rank is
 * taken from the environment: the kubelet doesn't expand variables in the commands of probes unless they are literal.
 *
 * Every worker process keeps one connection to the rendezvous on rank 0 for as long as it lives, so the table of TCP connections tells which
 * members are there, without asking them. `start` succeeds once the pod is connected (and, on rank 0, once the model answers), and notes the
 * connections; `check` fails when one of the peers noted then has none of its connections left. Noting connections rather than counting them
 * is what shows that a peer was replaced by a new process, however quickly: the new one is a stranger to the running group.
 */
export const GROUP_PROBE = `
import json, os, sys, urllib.request

mode, rendezvous, http = sys.argv[1], *map(int, sys.argv[2:4])
rank = int(os.environ['POD_INDEX'])
NOTES = f'/tmp/rendezvous-{rendezvous}-{rank}.json'


def connections():
    """Established connections to the rendezvous, by the peer's address."""
    found = {}
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        with open(table) as rows:
            next(rows)
            for row in rows:
                _, local, remote, state = row.split()[:4]
                ours = local if rank == 0 else remote
                if state == '01' and int(ours.rpartition(':')[2], 16) == rendezvous:
                    peer = remote.rpartition(':')[0]
                    found.setdefault(peer, []).append(f'{local} {remote}')
    return found


now = connections()
if not now:
    sys.exit('not connected to the rendezvous')
if mode == 'check':
    with open(NOTES) as notes:
        for peer, noted in json.load(notes).items():
            if not set(noted) & set(now.get(peer, [])):
                sys.exit(f'peer {peer} left the group')
if rank == 0:
    urllib.request.urlopen(f'http://127.0.0.1:{http}/health', timeout=8).close()
if mode == 'start':
    with open(NOTES, 'w') as notes:
        json.dump(now, notes)
`.trim();
