import { useParams } from '@tanstack/react-router'
import { useRead } from '../api/reading.ts'
import { StateMark } from '../parts/mark.tsx'
import { Money } from '../parts/money.tsx'
import { Loaded, Page } from '../parts/page.tsx'
import { Facts } from '../parts/panel.tsx'
import { markOfDeployment } from '../words/states.ts'

export function DeploymentPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const deployment = useRead('showDeployment', { params: { id } })
  return (
    <Page title={deployment.data?.name ?? 'Deployment'} sub={deployment.data?.model}>
      <Loaded of={deployment}>
        {(of) => (
          <Facts
            of={[
              [
                'State',
                <StateMark key="s" shape={markOfDeployment(of).shape}>
                  {markOfDeployment(of).word}
                </StateMark>,
              ],
              ['Ready', `${of.ready} of ${of.wanted}`],
              ['Starting', of.starting],
              ['Spent', <Money key="c" microUsd={of.spentMicroUsd} />],
            ]}
          />
        )}
      </Loaded>
    </Page>
  )
}
