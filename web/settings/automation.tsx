import { useState } from 'react'
import type { StatusView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { Button } from '../parts/button.tsx'
import { Confirm } from '../parts/dialog.tsx'
import { TextField } from '../parts/field.tsx'
import { StateMark } from '../parts/mark.tsx'
import { Pairs, Panel } from '../parts/panel.tsx'
import { Problem } from '../parts/problem.tsx'
import { Age } from '../parts/time.tsx'

/** The switch that stops all automation, what the guard holds back, and whether lost machines are released. */
export function Automation({ status }: { readonly status: StatusView }) {
  const [asking, setAsking] = useState(false)
  const resume = useAct('pause')
  const { paused, pausedReason, guard, guardHolds } = status
  const [last] = guardHolds
  return (
    <Panel
      title="Automation"
      actions={
        paused ? (
          <Button
            look="main"
            act="pause"
            busy={resume.isRunning}
            onPress={() => void resume.run({ body: { paused: false, reason: '' } })}
          >
            Resume
          </Button>
        ) : (
          <Button act="pause" onPress={() => setAsking(true)}>
            Pause …
          </Button>
        )
      }
    >
      <Pairs
        of={[
          [
            'State',
            <StateMark key="s" shape={paused ? 'doubtful' : 'good'}>
              {paused ? 'paused' : 'running'}
            </StateMark>,
          ],
          ['Why', paused ? pausedReason || 'no reason was given' : null],
          ['Guard', guard ?? 'holds nothing back'],
          ['Holds for', guard && last?.until === null ? <Age key="h" at={last.since} /> : null],
          ['Held last', last?.until ? <HeldLast key="l" reason={last.reason} until={last.until} /> : null],
        ]}
      />
      <Problem of={resume.failure} />
      {asking && <PauseDialog onClose={() => setAsking(false)} />}
    </Panel>
  )
}

function HeldLast({ reason, until }: { readonly reason: string; readonly until: string }) {
  return (
    <>
      until <Age at={until} /> ago. {reason}
    </>
  )
}

function PauseDialog({ onClose }: { readonly onClose: () => void }) {
  const [reason, setReason] = useState('')
  return (
    <Confirm
      title="Pause all automation?"
      verb="Pause it"
      act="pause"
      call={{ body: { paused: true, reason: reason.trim() } }}
      onClose={onClose}
    >
      <p>
        Loops watch and tell, and act on nothing: launches wait, nothing is replaced, scaled or released. Nodes that
        serve go on to serve, and what is billed stays billed.
      </p>
      <TextField
        label="Reason"
        value={reason}
        onChange={setReason}
        hint="Shown on every page while it is paused"
        autoFocus
      />
    </Confirm>
  )
}
