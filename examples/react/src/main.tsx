import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createBrowserRouter, RouterProvider } from 'react-router';
import { Layout } from './layout.js';
import { OrderPage } from './pages/order.js';
import { OrdersPage } from './pages/orders.js';
import { SignInPage } from './pages/sign-in.js';
import { Protected } from './protected.js';
import { queryClient } from './queries.js';
import './styles.css';

const router = createBrowserRouter([
  {
    Component: Layout,
    children: [
      { path: '/sign-in', Component: SignInPage },
      {
        Component: Protected,
        children: [
          { path: '/', Component: OrdersPage },
          { path: '/orders/:id', Component: OrderPage },
        ],
      },
    ],
  },
]);

createRoot(document.querySelector('#root')!).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
