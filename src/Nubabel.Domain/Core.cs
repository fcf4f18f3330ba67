using System.Text.Json;
using System.Text.Json.Serialization;

namespace Nubabel.Domain;

/// <summary>A fact that has happened to a <typeparamref name="T"/>. It carries no stream id, tenant, actor or time: these belong to its envelope.</summary>
public abstract record Event<T>;

/// <summary>A wish that a <typeparamref name="T"/> may grant, ignore (already so) or refuse. The edge puts ids and hashed secrets into it.</summary>
public abstract record Command<T>;

/// <summary>
/// Marks a command whose decision records an event each time it is taken, so that deciding it again on the result is not empty
/// (a failed sign-in). Every other decision must be safe to retry.
/// </summary>
public interface IRecordsEachTime;

/// <summary>The consistency boundary of a slice: a state that is folded from its events and decides the next ones. Pure: no clock, no I/O, no random.</summary>
public interface IAggregate<T> where T : IAggregate<T>
{
    /// <summary>The singular noun in kebab case that stream ids start with: <c>device</c> for <c>device-0198…</c>.</summary>
    static abstract string Kind { get; }

    /// <summary>The state before the first event.</summary>
    static abstract T Initial { get; }

    static abstract T Evolve(T state, Event<T> e);

    /// <summary>The events that grant the command, none when it is already so. Throws <see cref="Refused"/>.</summary>
    static abstract IReadOnlyList<Event<T>> Decide(T state, Command<T> command, Context at);

    /// <summary>
    /// The unique values this state holds within its tenant. The append takes what the new state holds and the old one did not,
    /// and releases the rest, in the same transaction as the events.
    /// </summary>
    static virtual IEnumerable<Claim> Claims(T state) => [];
}

/// <summary>What a decision may know besides state and command.</summary>
/// <param name="Now">The time of the decision, UTC; the events carry it too.</param>
/// <param name="Actor">Who wants it; from the credential, never from the body.</param>
public sealed record Context(DateTimeOffset Now, Actor Actor);

/// <summary>A value that one stream at a time may hold within its tenant.</summary>
/// <param name="Scope">What kind of value, and within what: <c>email</c>, <c>device-name:0198…</c>.</param>
/// <param name="Value">The normalised value; a keyed hash where it is personal.</param>
/// <param name="Code">The refusal code when another stream holds it, e.g. <c>device.name_taken</c>.</param>
/// <param name="Field">The member that holds the value, where a client can name it.</param>
public sealed record Claim(string Scope, string Value, string Code, string? Field = null);

/// <summary>The id of a <typeparamref name="T"/>: a UUIDv7, lower case, without prefix in JSON and URLs.</summary>
[JsonConverter(typeof(IdConverterFactory))]
public readonly record struct Id<T>(Guid Value) : ISpanParsable<Id<T>>
{
    public override string ToString() => Value.ToString("D");

    public static bool TryParse(ReadOnlySpan<char> s, IFormatProvider? provider, out Id<T> result)
    {
        // Only the canonical form: one id has one spelling, so caches, claims and idempotency keys cannot be split by another. The length
        // is tested because the framework ignores blanks around a Guid.
        var ok = Guid.TryParseExact(s, "D", out var value) && s.Length == 36 && !s.ContainsAnyInRange('A', 'F');
        result = new Id<T>(ok ? value : default);
        return ok;
    }

    public static bool TryParse(string? s, IFormatProvider? provider, out Id<T> result) => TryParse(s.AsSpan(), provider, out result);
    public static Id<T> Parse(string s) => Parse(s.AsSpan(), null);
    public static Id<T> Parse(string s, IFormatProvider? provider) => Parse(s.AsSpan(), provider);

    public static Id<T> Parse(ReadOnlySpan<char> s, IFormatProvider? provider) =>
        TryParse(s, provider, out var id) ? id : throw new FormatException("An id is a lower-case UUID.");
}

internal sealed class IdConverterFactory : JsonConverterFactory
{
    public override bool CanConvert(Type typeToConvert) => typeToConvert.IsGenericType && typeToConvert.GetGenericTypeDefinition() == typeof(Id<>);

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options) =>
        (JsonConverter)Activator.CreateInstance(typeof(IdConverter<>).MakeGenericType(typeToConvert.GetGenericArguments()))!;
}

internal sealed class IdConverter<T> : JsonConverter<Id<T>>
{
    public override Id<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String && Id<T>.TryParse(reader.GetString(), null, out var id)
            ? id
            : throw new JsonException("An id is a lower-case UUID.");

    public override void Write(Utf8JsonWriter writer, Id<T> value, JsonSerializerOptions options) => writer.WriteStringValue(value.Value);
}
