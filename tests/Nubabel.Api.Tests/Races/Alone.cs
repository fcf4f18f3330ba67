namespace Nubabel.Api.Tests.Races;

/// <summary>Tests that stop servers, kill processes or measure times: one after the other, and not beside the rest.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
