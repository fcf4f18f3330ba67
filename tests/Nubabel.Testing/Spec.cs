using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Projections;
using Xunit;

namespace Nubabel.Testing;

/// <summary>
/// Given events, when a command, then events or a refusal: <c>Given(Registered("phone")).When(new RenameDevice("pocket")).Then(new
/// DeviceRenamed("pocket"))</c>. Every event and command goes through its JSON, so that each spec proves serialization too, and every
/// decision is taken again on its own result, where it must record nothing (law 2).
/// </summary>
public abstract class Spec<T> where T : IAggregate<T>
{
    /// <summary>When a decision is taken unless the spec says otherwise.</summary>
    protected static DateTimeOffset Noon { get; } = new(2026, 1, 5, 12, 0, 0, TimeSpan.Zero);

    /// <summary>Who acts unless the spec says otherwise.</summary>
    protected virtual Actor Actor => Actor.System("spec");

    protected Situation<T> Given(params Event<T>[] events) => new(events, new Context(Noon, Actor));
}

/// <summary>What has happened so far, and who decides when.</summary>
public sealed class Situation<T>(IReadOnlyList<Event<T>> events, Context at) where T : IAggregate<T>
{
    public Situation<T> By(Actor actor) => new(events, at with { Actor = actor });
    public Situation<T> At(DateTimeOffset now) => new(events, at with { Now = now });
    public Decision<T> When(Command<T> command) => new(State, (Command<T>)SpecJson.ThroughJson(command), at);

    public T State => SpecJson.Fold(T.Initial, events);

    /// <summary>The claims that the state holds, <c>scope=value</c>.</summary>
    public void Holds(params string[] claims) => Assert.Equal(claims.Order(), T.Claims(State).Select(c => $"{c.Scope}={c.Value}").Order());
}

/// <summary>A decision to be compared with what is expected of it.</summary>
public sealed class Decision<T>(T state, Command<T> command, Context at) where T : IAggregate<T>
{
    /// <summary>Exactly these events, and none when decided again on the result.</summary>
    public void Then(params Event<T>[] expected)
    {
        var after = Expect(expected);
        if (command is IRecordsEachTime) return;
        Assert.Equal([], T.Decide(after, command, at).Select(SpecJson.Text));
    }

    /// <summary>Exactly these events; decided again on the result, the command is refused, which records nothing either. For what can be done only once.</summary>
    public void ThenRefusedAgain(string code, params Event<T>[] expected)
    {
        var after = Expect(expected);
        Assert.Equal(code, Assert.Throws<Refused>(() => T.Decide(after, command, at)).Code);
    }

    public void Nothing() => Then();

    public void Refused(string code, RefusalKind kind)
    {
        var refused = Assert.Throws<Refused>(() => T.Decide(state, command, at));
        Assert.Equal((code, kind), (refused.Code, refused.Kind));
    }

    private T Expect(Event<T>[] expected)
    {
        var events = T.Decide(state, command, at);
        Assert.Equal(expected.Select(SpecJson.Text), events.Select(SpecJson.Text));
        return SpecJson.Fold(state, events);
    }
}

/// <summary>What specs compare by.</summary>
public static class SpecJson
{
    /// <summary>The type's name and its stored JSON.</summary>
    public static string Text(object value) => $"{value.GetType().Name} {JsonSerializer.Serialize(value, value.GetType(), StoredJson.Options)}";

    /// <summary>Written as it is stored and read back; it must come back as it went.</summary>
    public static object ThroughJson(object value)
    {
        var json = JsonSerializer.Serialize(value, value.GetType(), StoredJson.Options);
        var back = JsonSerializer.Deserialize(json, value.GetType(), StoredJson.Options)!;
        Assert.Equal(value, back);
        return back;
    }

    public static T Fold<T>(T state, IEnumerable<Event<T>> events) where T : IAggregate<T> =>
        events.Aggregate(state, (s, e) => T.Evolve(s, (Event<T>)ThroughJson(e)));
}
