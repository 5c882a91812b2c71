# Jobs that wait or run when a Snakemake begins, and those that it would lose: what the SLURM plugin knows nothing of.

from unix_lib.artefacts.files import digest_of
from unix_lib.cluster.slurm import live_jobs


def continuing_executor(workflow, results):
    """The plugin's executor; what a driver before this one submitted, and what still waits or runs, it takes over.

    All drivers of these results give their jobs one name, by which the plugin asks for the states of its own.
    """
    from snakemake_executor_plugin_slurm import Executor, get_job_wildcards
    from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

    name = f"{results.name}-{digest_of(str(results.resolve()))[:8]}"
    left = set(live_jobs(name) or ())

    class Continuing(Executor):
        # The plugin sets one for each driver, and prints it.
        run_uuid = property(lambda self: name, lambda self, _: None)
        gone = set()

        def __post_init__(self, **options):
            super().__post_init__(**options)
            self._fallback_account_arg = ""  # it would guess one from earlier jobs

        def run_job(self, job):
            # As the plugin writes them: what squeue shows, and the folder of its log.
            wildcards = get_job_wildcards(job)
            comment = f"rule_{job.name}" + f"_wildcards_{wildcards}" * bool(wildcards)
            folder = f"{'group' if job.is_group() else 'rule'}_{job.name}"
            number = (live_jobs(name) or {}).get(comment) if comment in left else None
            left.discard(comment)
            if number is None:
                super().run_job(job)
                return
            logger.info(f"{comment}: SLURM job {number} is taken over.")
            log = self.slurm_logdir / folder / wildcards / f"{number}.log"
            self._report_job_submission_threadsafe(
                SubmittedJobInfo(job, external_jobid=number, aux={"slurm_logfile": log})
            )

        async def check_active_jobs(self, active_jobs):
            """As the plugin does, but for two cases in which it would wait for ever.

            It forgets all jobs when SLURM does not answer; and it waits for one to be queued again that was preempted
            and is not. The latter must be seen twice in a row, since a job may end after the plugin asked.
            """
            live, asked = {}, None
            if active_jobs:  # before there is any the plugin is not ready
                live, asked = live_jobs(name), self._status_query_calls
            if live is None:
                logger.warning(
                    "SLURM does not answer; it is asked again, and jobs go on"
                )
                active = active_jobs
            else:
                active = [job async for job in super().check_active_jobs(active_jobs)]
                if active_jobs and self._status_query_calls == asked:
                    active = active_jobs
            for job in active:
                number = job.external_jobid
                if live is None or number in live.values():
                    self.gone.discard(number)
                elif number in self.gone:
                    self.report_job_error(
                        job,
                        msg=f"SLURM job {number} was ended and is not queued again",
                    )
                    continue
                else:
                    self.gone.add(number)
                yield job

    return Continuing
