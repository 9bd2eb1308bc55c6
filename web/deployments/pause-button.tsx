import type { DeploymentView } from '../../src/wire/views.ts'
import { useAct } from '../api/acting.ts'
import { Button } from '../parts/button.tsx'
import { Problem } from '../parts/problem.tsx'

/** Pauses a deployment; resumes one that is paused, or that stopped by itself after failures. */
export function PauseButton({ of: { id, paused, stopped } }: { readonly of: DeploymentView }) {
  const pause = useAct('pauseDeployment')
  const resumes = paused || stopped !== null
  return (
    <>
      <Button
        act="pauseDeployment"
        busy={pause.isRunning}
        onPress={() => void pause.run({ params: { id }, body: { paused: !resumes } })}
      >
        {resumes ? 'Resume' : 'Pause'}
      </Button>
      <Problem of={pause.failure} />
    </>
  )
}
