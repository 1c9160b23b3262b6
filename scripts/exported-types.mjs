// Names that a user meets in the types of the package and cannot write: every type in a signature that an entry point
// exports must be exported by an entry point too. An abbreviation that its own file keeps to itself is no such name: what it
// stands for is shown in its place. Reads the declarations that are published.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** What the library hands to devices; nobody writes one outside. */
const opaque = new Set(['Kernel']);

/** A line for each type that is in a signature and has no name outside. `folder` holds the package.json and what was built. */
export function unexportedTypes(folder) {
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const entries = Object.values(exports)
    .map(({ types }) => types && join(folder, types))
    .filter((path) => path && existsSync(path));
  if (entries.length < 5) throw new Error(`${folder} has ${entries.length} entry points with types; build it first`);
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: [],
  });
  const checker = program.getTypeChecker();
  const resolved = (symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
  const exported = new Map();
  for (const entry of entries) {
    for (const symbol of checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry))))
      exported.set(resolved(symbol), symbol.name);
  }
  const missing = new Map();
  const isOurs = (declaration) => declaration.getSourceFile().fileName.startsWith(join(folder, 'dist'));
  const isExported = (node) => (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Export) !== 0;
  const isHidden = (node) =>
    (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0 ||
    (node.name !== undefined && ts.isPrivateIdentifier(node.name)) ||
    ts.getJSDocTags(node).some((tag) => tag.tagName.text === 'internal');
  const look = (name, node) => {
    if (ts.isClassElement(node) && isHidden(node)) return;
    const named = ts.isTypeReferenceNode(node)
      ? node.typeName
      : ts.isExpressionWithTypeArguments(node)
        ? node.expression
        : ts.isImportTypeNode(node)
          ? node.qualifier
          : undefined;
    const found = named && checker.getSymbolAtLocation(named);
    if (found !== undefined) {
      const symbol = resolved(found);
      const [declaration] = symbol.declarations ?? [];
      const isName =
        declaration !== undefined &&
        !ts.isTypeParameterDeclaration(declaration) &&
        !(ts.isTypeAliasDeclaration(declaration) && !isExported(declaration));
      if (isName && isOurs(declaration) && !exported.has(symbol) && !opaque.has(symbol.name)) {
        missing.set(symbol, [...(missing.get(symbol) ?? []), name]);
      }
    }
    node.forEachChild((child) => look(name, child));
  };
  for (const [symbol, name] of exported)
    for (const declaration of symbol.declarations ?? []) if (isOurs(declaration)) look(name, declaration);
  return [...missing].map(([symbol, names]) => {
    const file = symbol.declarations[0].getSourceFile().fileName.slice(folder.length + 1);
    return `${symbol.name} (${file}) in ${[...new Set(names)].join(', ')}`;
  });
}

if (import.meta.main ?? process.argv[1]?.endsWith('exported-types.mjs')) {
  const lines = unexportedTypes(process.argv[2] ?? process.cwd());
  for (const line of lines) console.log(line);
  console.log(`${lines.length} types in signatures are not exported`);
  process.exitCode = lines.length > 0 ? 1 : 0;
}
