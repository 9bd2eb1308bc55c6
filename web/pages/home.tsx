import { Link } from '@tanstack/react-router'
import { useFleet } from '../live/fleet.ts'
import { Money } from '../parts/money.tsx'
import { Page, Waiting } from '../parts/page.tsx'
import { Empty, Facts, Panel } from '../parts/panel.tsx'

export function HomePage() {
  const fleet = useFleet()
  return (
    <Page
      title="Start"
      actions={
        <Link to="/launch" className="button main">
          Launch
        </Link>
      }
    >
      {fleet === null ? <Waiting /> : fleet.nodes.length === 0 ? <FirstVisit /> : null}
      {fleet?.status && (
        <Facts
          of={[
            ['Ready', fleet.status.nodes.ready ?? 0],
            ['Nodes', fleet.nodes.length],
            ['Costs now', <Money key="burn" microUsd={fleet.status.burnPerHourMicroUsd} perHour />],
          ]}
        />
      )}
    </Page>
  )
}

function FirstVisit() {
  return (
    <Panel title="Nothing runs, and nothing is billed">
      <Empty title="Launch a first model.">
        <p>Choose a model, see which machines can hold it and what each costs, and watch it come up.</p>
        <Link to="/launch" className="button main">
          Launch a model
        </Link>
      </Empty>
    </Panel>
  )
}
