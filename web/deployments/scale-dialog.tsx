import { useState } from 'react'
import type { DeploymentView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { useFleet } from '../live/fleet.ts'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { TextField } from '../parts/field.tsx'
import { Problem } from '../parts/problem.tsx'
import { usdPerHour } from '../words/money.ts'
import { replicasOf, whatScalingDoes } from './scale.ts'

export interface ScaleDialogProps {
  readonly of: DeploymentView
  readonly onClose: () => void
}

/** Another number of replicas, with what that starts or ends and what the machines cost. */
export function ScaleDialog({ of, onClose }: ScaleDialogProps) {
  const [typed, setTyped] = useState(String(of.wanted))
  const [pressed, setPressed] = useState(false)
  const scale = useAct('scaleDeployment')
  const read = replicasOf(typed)
  const fewer = 'wanted' in read && read.wanted < of.wanted
  const submit = async () => {
    setPressed(true)
    if (!('wanted' in read)) return
    if (await scale.run({ params: { id: of.id }, body: { wanted: read.wanted } })) onClose()
  }
  return (
    <Dialog
      title={`Scale ${of.name}`}
      onClose={onClose}
      onSubmit={() => void submit()}
      actions={
        <>
          <Button onPress={onClose}>Leave it</Button>
          <Button type="submit" look="main" act="scaleDeployment" busy={scale.isRunning} danger={fewer}>
            {fewer ? 'Give back' : 'Scale'}
          </Button>
        </>
      }
    >
      <TextField
        label="Replicas wanted"
        type="number"
        value={typed}
        onChange={setTyped}
        wrong={pressed && 'wrong' in read ? read.wrong : null}
        hint={`${of.wanted} wanted and ${of.ready} ready now`}
        autoFocus
      />
      {'wanted' in read && <p>{whatScalingDoes(of, read.wanted)}</p>}
      <PriceNow deploymentId={of.id} />
      {of.paused && <p className="warn">It is paused: nothing starts or ends before it is resumed.</p>}
      <Problem of={scale.failure} />
    </Dialog>
  )
}

/** What its machines cost now: what the next one will cost is decided by the offers of that moment. */
function PriceNow({ deploymentId }: { readonly deploymentId: string }) {
  const prices = (useFleet()?.nodes ?? [])
    .filter((node) => node.deploymentId === deploymentId && node.state !== 'gone')
    .map(({ offer }) => offer.pricePerHourMicroUsd)
  if (prices.length === 0) return null
  const [least, most] = [Math.min(...prices), Math.max(...prices)]
  const range = least === most ? usdPerHour(least) : `${usdPerHour(least)} to ${usdPerHour(most)}`
  return <p className="soft">Each of its machines costs {range} now.</p>
}
