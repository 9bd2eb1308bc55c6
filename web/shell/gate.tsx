import { type ReactNode, useEffect, useState } from 'react'
import { useSession } from '../api/session.ts'
import { findSession } from '../api/sign-in.ts'
import { Button } from '../parts/button.tsx'
import { Waiting } from '../parts/page.tsx'
import { Problem } from '../parts/problem.tsx'
import { Brand } from './brand.tsx'
import { SignInAgain, SignInForm } from './sign-in-form.tsx'

/** Lets in who is signed in. A page whose session ended stays as it is, behind the form: nothing typed is lost. */
export function Gate({ children }: { readonly children: ReactNode }) {
  const session = useSession()
  const [failure, setFailure] = useState<unknown>(null)
  const ask = () => {
    setFailure(null)
    findSession().catch(setFailure)
  }
  useEffect(ask, [])
  if (session.kind === 'in') return children
  if (session.kind === 'out' && session.person)
    return (
      <>
        {children}
        <SignInAgain name={session.person.name} />
      </>
    )
  return (
    <main className="gate">
      <section>
        <Brand />
        {session.kind === 'out' && <SignInForm />}
        {session.kind === 'asking' && failure === null && <Waiting />}
        {session.kind === 'asking' && failure !== null && (
          <>
            <Problem of={failure} />
            <Button onPress={ask}>Try again</Button>
          </>
        )}
      </section>
    </main>
  )
}
