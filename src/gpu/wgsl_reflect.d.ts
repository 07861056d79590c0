// The types of wgsl_reflect's module file: the package declares them for its main entry only.
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export * from 'wgsl_reflect';
}
