import Link from 'next/link';

export default function Home() {
  return (
    <main>
      <h1>Orders</h1>
      <Link href="/orders/7">Order 7</Link>
    </main>
  );
}
