import { useState } from 'react'
import { failureOf } from '../api/client.ts'
import { signOut } from '../api/sign-in.ts'
import { Button } from '../parts/button.tsx'

/** Of this browser, in all its tabs. Where nobody answers, one is not signed out, and is told so. */
export function SignOut() {
  const [wrong, setWrong] = useState<string | null>(null)
  const leave = () => signOut().catch((error: unknown) => setWrong(failureOf(error).message))
  return (
    <>
      <Button look="quiet" onPress={() => void leave()}>
        Sign out
      </Button>
      {wrong && <span role="alert">{wrong}</span>}
    </>
  )
}
