using System.Runtime.CompilerServices;
using System.Text;
using Npgsql;

namespace Nubabel.Store;

/// <summary>
/// A statement written as an interpolated string: holes become typed parameters (<c>$1</c>, <c>$2</c>, …), so a value cannot become SQL
/// and a concatenated string does not compile. A hole may also hold another <see cref="Sql"/>, which is inlined with its parameters, or a
/// <see cref="Name"/>.
/// </summary>
[InterpolatedStringHandler]
public sealed class Sql
{
    private readonly StringBuilder text;
    private readonly List<NpgsqlParameter> parameters;
    private bool isSent;

    public Sql(int literalLength, int formattedCount)
    {
        text = new StringBuilder(literalLength + formattedCount * 3);
        parameters = new List<NpgsqlParameter>(formattedCount);
    }

    /// <summary>Makes a fragment: <c>Sql.Of($"and owner = {owner}")</c>.</summary>
    public static Sql Of(Sql sql) => sql;

    /// <summary>Nothing: for the optional parts of a statement.</summary>
    public static Sql None => new(0, 0);

    public void AppendLiteral(string literal) => text.Append(literal);

    public void AppendFormatted<T>(T value)
    {
        parameters.Add(new NpgsqlParameter<T> { TypedValue = value });
        text.Append('$').Append(parameters.Count);
    }

    public void AppendFormatted(Name name) => text.Append(name.Quoted);

    public void AppendFormatted(Sql inner)
    {
        // The inner fragment counts its own holes from 1; they move up behind ours.
        var shift = parameters.Count;
        for (var i = 0; i < inner.text.Length; i++)
        {
            var c = inner.text[i];
            text.Append(c);
            if (c != '$' || i + 1 >= inner.text.Length || !char.IsAsciiDigit(inner.text[i + 1])) continue;
            var number = 0;
            while (i + 1 < inner.text.Length && char.IsAsciiDigit(inner.text[i + 1])) number = number * 10 + (inner.text[++i] - '0');
            text.Append(number + shift);
        }
        foreach (var parameter in inner.parameters) parameters.Add(parameter.Clone());
    }

    internal NpgsqlBatchCommand ToBatchCommand()
    {
        var command = new NpgsqlBatchCommand(text.ToString());
        // A parameter belongs to one command; whoever asks a second time gets its like.
        foreach (var parameter in parameters) command.Parameters.Add(isSent ? parameter.Clone() : parameter);
        isSent = true;
        return command;
    }

    public override string ToString() => text.ToString();
}

/// <summary>A table or column known to the code, quoted where it stands in a statement. Never made from input.</summary>
public readonly record struct Name(string Value)
{
    internal string Quoted => string.Join('.', Value.Split('.').Select(part => $"\"{part.Replace("\"", "\"\"", StringComparison.Ordinal)}\""));
}
