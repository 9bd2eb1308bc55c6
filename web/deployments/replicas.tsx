import type { DeploymentView } from '../../src/wire/views.ts'
import { Bar } from '../parts/bar.tsx'

/** How many of the wanted replicas are ready, and how many are on their way. */
export function Replicas({ of: { wanted, ready, starting } }: { readonly of: DeploymentView }) {
  const words = `${ready} of ${wanted} ready${starting > 0 ? `, ${starting} starting` : ''}`
  const whole = Math.max(1, wanted, ready + starting)
  return (
    <>
      {words}
      {wanted > 0 && (
        <Bar
          label={words}
          shares={[
            { name: 'ready', share: ready / whole },
            { name: 'starting', share: starting / whole, look: 'second' },
          ]}
        />
      )}
    </>
  )
}
