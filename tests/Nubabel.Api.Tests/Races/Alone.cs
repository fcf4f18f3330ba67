namespace Nubabel.Api.Tests.Races;

/// <summary>
/// Tests that measure times, stop servers or start many processes at once: one after the other, and behind the rest, while one core has nothing to do. A test whose processes and
/// databases are its own and that looks at no clock does not belong here.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
