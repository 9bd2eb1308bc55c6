import { Link } from '@tanstack/react-router'
import type { StatusView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { useLink } from '../live/link.ts'
import { Button } from '../parts/button.tsx'
import { Problem } from '../parts/problem.tsx'

/** What everybody has to know on every page: that it is not of now, or that nothing is done by itself. */
export function Banners({ status }: { readonly status: StatusView | null }) {
  const link = useLink()
  return (
    <>
      <div role="status">
        {link.kind === 'reconnecting' && (
          <div className="note">
            <strong>Reconnecting.</strong> What you see is as it was when the connection was lost: {link.why}.
          </div>
        )}
      </div>
      {status?.paused && <Paused reason={status.pausedReason} />}
      {status?.guard && (
        <div className="note bad">
          <strong>The guard holds releases back.</strong> {status.guard}
        </div>
      )}
    </>
  )
}

function Paused({ reason }: { readonly reason: string | null }) {
  const pause = useAct('pause')
  return (
    <div className="note">
      <div className="row">
        <span>
          <strong>Automation is paused.</strong> Loops watch and tell; nothing is launched, replaced or released.
          {reason && ` ${reason}`}
        </span>
        <span className="row right">
          <Link to="/settings" className="link">
            Loops
          </Link>
          <Button
            act="pause"
            busy={pause.isRunning}
            onPress={() => void pause.run({ body: { paused: false, reason: '' } })}
          >
            Resume
          </Button>
        </span>
      </div>
      <Problem of={pause.failure} />
    </div>
  )
}
