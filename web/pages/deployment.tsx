import { useState } from 'react'
import type { DeploymentView } from '../../src/wire/views.ts'
import { useRead } from '../api/reading.ts'
import { DeploymentGraphs } from '../deployments/deployment-graphs.tsx'
import { PauseButton } from '../deployments/pause-button.tsx'
import { ScaleDialog } from '../deployments/scale-dialog.tsx'
import { Slots } from '../deployments/slots.tsx'
import { useIdOfPage } from '../parts/address-state.ts'
import { Button } from '../parts/button.tsx'
import { MarkedState } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Facts, Pairs, Panel } from '../parts/panel.tsx'
import { Age } from '../parts/time.tsx'
import { askedWords } from '../words/asked.ts'
import { markOfDeployment } from '../words/states.ts'

export function DeploymentPage() {
  const id = useIdOfPage()
  const deployment = useRead('showDeployment', { params: { id } })
  const [scaling, setScaling] = useState(false)
  return (
    <Page
      title={deployment.data?.name ?? 'Deployment'}
      sub={deployment.data && `${deployment.data.model} on ${deployment.data.engine}`}
      actions={
        deployment.data && (
          <>
            <PauseButton of={deployment.data} />
            <Button act="scaleDeployment" onPress={() => setScaling(true)}>
              Scale …
            </Button>
          </>
        )
      }
    >
      <Loaded of={deployment}>
        {(of) => (
          <>
            <Trouble of={of} />
            <Figures of={of} />
            <div className="stack">
              <Slots of={of} />
              <DeploymentGraphs id={of.id} />
              <Panel title="What each of its launches asks for">
                <Pairs of={askedWords(of)} />
              </Panel>
            </div>
            {scaling && <ScaleDialog of={of} onClose={() => setScaling(false)} />}
          </>
        )}
      </Loaded>
    </Page>
  )
}

function Trouble({ of: { stopped, paused } }: { readonly of: DeploymentView }) {
  return (
    <>
      {stopped !== null && (
        <div className="note bad">
          <strong>It stopped refilling by itself.</strong> {stopped}
        </div>
      )}
      {paused && (
        <div className="note">
          <strong>It is paused.</strong> What serves goes on; nothing is started, replaced, released or scaled until it
          is resumed.
        </div>
      )}
    </>
  )
}

function Figures({ of }: { readonly of: DeploymentView }) {
  return (
    <Facts
      of={[
        ['State', <MarkedState key="s" of={markOfDeployment(of)} />],
        ['Wanted', of.wanted],
        ['Ready', of.ready],
        ['Starting', of.starting],
        ['Failures in a row', of.failuresInARow],
        ['Spent', <Money key="c" microUsd={of.spentMicroUsd} />],
        ['Age', <Age key="a" at={of.createdAt} />],
      ]}
    />
  )
}
