export default function Page() {
  return 'See /edge and /node.';
}
