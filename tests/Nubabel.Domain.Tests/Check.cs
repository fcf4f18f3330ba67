using FsCheck;
using FsCheck.Fluent;

namespace Nubabel.Domain.Tests;

/// <summary>Properties, checked a few hundred times each; a failure shows the shrunken example and the seed.</summary>
internal static class Check
{
    public static void Holds<TInput>(Func<TInput, bool> property) => Prop.ForAll(property).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    public static void Holds<TInput>(Gen<TInput> inputs, Func<TInput, bool> property) =>
        Prop.ForAll(Arb.From(inputs), property).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
}
