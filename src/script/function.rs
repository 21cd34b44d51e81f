//! `Callable`: a script function that Rust keeps and calls later, from any thread.

use std::sync::Arc;

#[allow(deprecated, reason = "the language marks this one as volatile; our version of it is pinned")]
use rhai::NativeCallContextStore;
use rhai::{Dynamic, Engine, EvalAltResult, FnPtr, NativeCallContext, Position};

use super::fault::Fallible;

/// A function value with everything that it needs: copies of what it captured, and the modules,
/// imports and constants of the place where it was handed over.
///
/// A closure that an imported module returns as a plain value cannot be called by its caller; one
/// that was bound inside the module can. So every native that takes a function binds it at once.
#[derive(Debug, Clone)]
pub struct Callable {
    function: FnPtr,
    #[allow(deprecated, reason = "the language marks this one as volatile; our version of it is pinned")]
    context: Arc<NativeCallContextStore>,
}

/// Binds `function` where it enters Rust.
///
/// Captured variables are copied, so that every call sees the same values on every thread;
/// what a call assigns to them is lost afterwards.
#[allow(deprecated, reason = "the language marks this one as volatile; our version of it is pinned")]
pub fn bind(context: &NativeCallContext, function: &FnPtr) -> Callable {
    let mut function = function.clone();
    let captured: Vec<Dynamic> = function.iter_curry().map(Dynamic::flatten_clone).collect();
    function.set_curry(captured);
    let mut context = context.store_data();
    // The steps of each call are counted by themselves.
    context.global.num_operations = 0;
    Callable { function, context: Arc::new(context) }
}

impl Callable {
    /// Its name inside the language.
    pub fn name(&self) -> &str {
        self.function.fn_name()
    }

    /// The text in which it was handed over, and where.
    #[allow(deprecated, reason = "the language marks this one as volatile; our version of it is pinned")]
    pub fn bound_at(&self) -> (Option<&str>, Position) {
        (self.context.global.source.as_deref(), self.context.pos)
    }

    /// Calls the function. `engine` is any engine that was built like the session's.
    #[allow(deprecated, reason = "the language marks this one as volatile; our version of it is pinned")]
    pub fn call(&self, engine: &Engine, args: impl IntoIterator<Item = Dynamic>) -> Fallible<Dynamic> {
        let context = self.context.create_context(engine);
        let args: Vec<Dynamic> = args.into_iter().collect();
        self.function.call_raw(&context, None, args).map_err(|mut error| {
            // It is called from elsewhere than where it was bound: the caller adds its own place.
            if let EvalAltResult::ErrorInFunctionCall(_, _, _, position) = &mut *error {
                *position = Position::NONE;
            }
            error
        })
    }

    /// An ordinary function value for scripts, callable from any module.
    #[allow(deprecated, reason = "the language marks this one as volatile; our version of it is pinned")]
    pub fn into_value(self) -> Dynamic {
        let call = move |context: NativeCallContext, args: &mut [&mut Dynamic]| {
            self.call(context.engine(), args.iter_mut().map(|arg| std::mem::take(&mut **arg)))
        };
        FnPtr::from_fn("bound", call).expect("the name is an identifier").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rhai::module_resolvers::StaticModuleResolver;
    use rhai::{Map, Module, Scope};

    /// An engine in which `keep(f)` binds, and module `lib` makes functions.
    fn engine() -> Engine {
        let mut engine = Engine::new();
        engine.register_fn("keep", |context: NativeCallContext, function: FnPtr| {
            bind(&context, &function).into_value()
        });
        engine.register_fn("bag", |context: NativeCallContext, mut map: Map| {
            for value in map.values_mut() {
                if let Some(function) = value.clone().try_cast::<FnPtr>() {
                    *value = bind(&context, &function).into_value();
                }
            }
            map
        });
        let inner = engine.compile("fn twice(x) { x * 2 }").unwrap();
        let inner = Module::eval_ast_as_new(Scope::new(), &inner, &engine).unwrap();
        let mut resolver = StaticModuleResolver::new();
        resolver.insert("inner", inner);
        engine.set_module_resolver(resolver.clone());
        let lib = r#"
            import "inner" as inner;
            const K = 7;
            fn add_one(x) { x + 1 }
            private fn hidden(x) { x + 1000 }
            fn plain() { keep(|x| x * 10) }
            fn captures(n) { keep(|x| x + n) }
            fn calls_own(n) { keep(|x| add_one(x) + n) }
            fn calls_private() { keep(|x| hidden(x)) }
            fn calls_import() { keep(|x| inner::twice(x)) }
            fn reads_const() { keep(|x| x + global::K) }
            fn nested(n) { keep(|x| { let f = |y| y + n; f.call(x) }) }
            fn in_map(n) { bag(#{ hook: |x| x + n }) }
            fn unbound(n) { |x| x + n }
            fn apply(f, x) { f.call(x) }
        "#;
        let lib = Module::eval_ast_as_new(Scope::new(), &engine.compile(lib).unwrap(), &engine).unwrap();
        resolver.insert("lib", lib);
        engine.set_module_resolver(resolver);
        engine
    }

    /// What `expression` gives after an import of `lib`.
    fn eval(expression: &str) -> Fallible<i64> {
        engine().eval::<i64>(&format!(
            "import \"lib\" as lib; import \"inner\" as inner; const M = 5; fn local(x) {{ x + 100 }} {expression}"
        ))
    }

    #[test]
    fn bound_functions_work_wherever_they_were_made_and_wherever_they_are_called() {
        let cases = [
            ("keep(|x| x + 1).call(1)", 2),
            ("let n = 3; keep(|x| x + n).call(1)", 4),
            ("keep(|x| local(x)).call(1)", 101),
            ("keep(|x| inner::twice(x)).call(4)", 8),
            ("keep(|x| x + global::M).call(1)", 6),
            ("keep(Fn(\"local\")).call(1)", 101),
            ("lib::plain().call(2)", 20),
            ("lib::captures(100).call(2)", 102),
            ("lib::calls_own(5).call(1)", 7),
            ("lib::calls_private().call(1)", 1001),
            ("lib::calls_import().call(4)", 8),
            ("lib::reads_const().call(1)", 8),
            ("lib::nested(10).call(1)", 11),
            ("let m = lib::in_map(4); m.hook.call(1)", 5),
            ("[1, 2].map(lib::captures(1))[1]", 3),
            ("lib::apply(keep(|x| x + 2), 1)", 3),
            ("keep(lib::captures(1)).call(1)", 2),
        ];
        for (expression, wanted) in cases {
            assert_eq!(eval(expression).map_err(|error| error.to_string()), Ok(wanted), "{expression}");
        }
    }

    #[test]
    fn without_binding_a_closure_from_a_module_cannot_be_called() {
        // When this fails the language has been repaired, and binding may not be needed any more.
        assert!(eval("lib::unbound(1).call(1)").is_err());
    }

    #[test]
    fn a_captured_variable_is_copied_when_the_function_is_bound() {
        assert_eq!(eval("let n = 1; let f = keep(|x| x + n); n = 50; f.call(1)").unwrap(), 2);
        let list =
            "let fs = []; for i in 0..3 { let j = i; fs.push(keep(|| j)); } fs[0].call() + fs[2].call()";
        assert_eq!(eval(list).unwrap(), 2);
    }

    #[test]
    fn a_bound_function_can_be_called_on_another_thread_with_another_engine() {
        let bound = engine().eval::<FnPtr>("import \"lib\" as lib; lib::calls_own(5)").unwrap();
        let result = std::thread::spawn(move || {
            let engine = engine();
            let empty = rhai::AST::empty();
            bound.call::<i64>(&engine, &empty, (1_i64,)).unwrap()
        });
        assert_eq!(result.join().unwrap(), 7);
    }
}
