import { useState } from 'react'
import type { DeploymentView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { useFleet } from '../live/fleet.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { TextField } from '../parts/field.tsx'
import { rangePerHour } from '../words/money.ts'
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
    // What is told here to start or end follows from what is wanted now.
    const body = { wanted: read.wanted, from: of.wanted }
    if (await scale.run({ params: { id: of.id }, body })) onClose()
  }
  return (
    <ActDialog
      title={`Scale ${of.name}`}
      verb={fewer ? 'Give back' : 'Scale'}
      act="scaleDeployment"
      doing={scale}
      danger={fewer}
      onSubmit={() => void submit()}
      onClose={onClose}
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
    </ActDialog>
  )
}

/** What its machines cost now: what the next one will cost is decided by the offers of that moment. */
function PriceNow({ deploymentId }: { readonly deploymentId: string }) {
  const prices = (useFleet() ?? [])
    .filter((node) => node.deploymentId === deploymentId && node.state !== 'gone')
    .map(({ offer }) => offer.pricePerHourMicroUsd)
  if (prices.length === 0) return null
  return <p className="soft">Each of its machines costs {rangePerHour(prices)} now.</p>
}
