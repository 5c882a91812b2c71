# Several machines without SLURM: what their hostfile can't give is refused before the first job.

from unix_lib.cluster.hosts import HostError, hosts_of, require_reachable


def refused_by_hosts(site, jobs):
    """Why the hosts of the site's file can't do some jobs; "" where they can, and where the site names none."""
    shapes = [execution.job for _, execution in jobs if site.hostfile is not None]
    several = {
        (shape.nodes, shape.processes_per_node) for shape in shapes if shape.nodes > 1
    }
    try:
        for nodes, processes in sorted(several):
            hosts = hosts_of(site.hostfile, nodes, processes)
            require_reachable(hosts, site.remote_shell)
    except HostError as error:
        return str(error)
    return ""
