import { Link } from '@tanstack/react-router'
import { isLeaving, isOver } from '../../src/core/launch-table.ts'
import type { LaunchDetail } from '../../src/wire/views.ts'
import { usePerson } from '../api/session.ts'
import { Failed } from '../parts/problem.tsx'
import { Left } from '../parts/time.tsx'
import { LaunchAgain } from './launch-again.tsx'

/** What somebody who opens the launch has to know first: why it waits, who ended it, why it failed and what to do. */
export function LaunchNotes({ launch }: { readonly launch: LaunchDetail }) {
  const failure = isLeaving(launch.state) && launch.failure?.code !== 'cancelled' ? launch.failure : null
  return (
    <>
      {launch.endAskedBy !== null && <EndedBy launch={launch} by={launch.endAskedBy} />}
      {failure && <Failed failure={failure} />}
      <Waits launch={launch} />
      <LaunchAgain key={launch.id} launch={launch} />
      {launch.origin === 'deployment' && launch.state === 'failed' && (
        <p className="soft">
          The deployment{' '}
          <Link to="/deployments/$id" params={{ id: launch.deploymentId }} className="link">
            {launch.deployment}
          </Link>{' '}
          asked for it, and fills the slot again by itself unless it is paused or stopped.
        </p>
      )}
    </>
  )
}

const ofDeployment = 'deployment:'

function EndedBy({ launch, by }: { readonly launch: LaunchDetail; readonly by: string }) {
  const isOurs = by === usePerson()?.name
  const who = by.startsWith(ofDeployment)
    ? `The deployment ${by.slice(ofDeployment.length)}, which wants fewer replicas,`
    : isOurs
      ? 'You'
      : by
  const what = launch.state === 'cancelled' || launch.failure?.code === 'cancelled' ? 'cancelled it' : 'ended it'
  return (
    <div className={`note ${isOurs ? 'calm' : ''}`} role="status">
      <strong>
        {who} {what}.
      </strong>{' '}
      {isOver(launch.state) ? 'Nothing of it is left running.' : 'Everything that it started is being given back.'}
    </div>
  )
}

function Waits({ launch }: { readonly launch: LaunchDetail }) {
  const { state, queuePlace, waitsFor, deadlineAt } = launch
  if (state !== 'queued' && state !== 'backing_off') return null
  const before = queuePlace === null ? null : queuePlace - 1
  return (
    <div className="note calm" role="status">
      {before === null ? (
        <strong>It tries again soon.</strong>
      ) : (
        <strong>
          Place {queuePlace} in the queue{before === 0 ? ', next' : ''}.
        </strong>
      )}{' '}
      {waitsFor ?? (before === null ? 'A place that was just refused is not asked again at once.' : null)}{' '}
      {deadlineAt && (
        <span className="soft">
          It is given up in <Left until={deadlineAt} />.
        </span>
      )}
    </div>
  )
}
