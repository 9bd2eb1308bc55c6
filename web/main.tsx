// The dashboard: a client of the public API like any other, with a page for each thing that an operator does.
// Deliberately absent: rules of its own. What a state means and who may do what comes from src/core and src/wire.
import '../src/wire/without-eval.ts'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { queries } from './api/queries.ts'
import { readAnewAfterCuts } from './live/feeding.ts'
import { keepLive } from './live/link.ts'
import './look/tokens.css'
import './look/layout.css'
import './look/controls.css'
import './look/states.css'
import './look/table.css'
import './look/shell.css'
import { router } from './routes.tsx'
import { Gate } from './shell/gate.tsx'
import { applyLook } from './shell/look-switch.tsx'

applyLook()
keepLive()
readAnewAfterCuts()
const root = document.getElementById('root')
if (!root) throw new Error('the page has no place for the dashboard')
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <Gate>
        <RouterProvider router={router} />
      </Gate>
    </QueryClientProvider>
  </StrictMode>,
)
