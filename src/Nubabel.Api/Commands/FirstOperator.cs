using System.Security.Cryptography;
using System.Text.Json;
using Nubabel.Api.Host;
using Nubabel.Api.Operators;
using Nubabel.Domain;
using Nubabel.Store;

namespace Nubabel.Api.Commands;

/// <summary>In Development the first start adds an operator and writes the credentials into <c>operator.json</c>, for this user's eyes only.</summary>
public static class FirstOperator
{
    public const string FileName = "operator.json";
    private const string Address = "operator@nubabel.localhost";

    private sealed record Credentials(string Email, string Password);

    /// <summary>The file's path. An operator that is there already, in the file and the database, is left as is.</summary>
    public static async Task<string> Ensure(Node node, Settings settings, SignIns signIns, Passwords passwords, CancellationToken ct)
    {
        var path = Path.Combine(settings.DataDirectory, FileName);
        if (File.Exists(path)) return path;
        var email = Email.Parse(Address);
        var credentials = new Credentials(Address, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)));
        if (await node.Journal(Node.Platform, new Store.Origin("system:start")).Holder("operator-email", signIns.EmailKey(Node.Platform, email), ct) is not null)
            credentials = Another(credentials);
        // The operator first: a file whose operator does not exist would be worse than an operator whose password nobody knows.
        try
        {
            await Add(credentials);
        }
        catch (Refused taken) when (taken.Kind == RefusalKind.Conflict)
        {
            // Another node that starts for the first time at this moment was faster.
            credentials = Another(credentials);
            await Add(credentials);
        }
        PrivateFile.TryMake(path, JsonSerializer.SerializeToUtf8Bytes(credentials, Json.Options));
        return path;

        Task Add(Credentials of) => OperatorsApi.Add(node, signIns, passwords, Email.Parse(of.Email), Password.Parse(of.Password), ct);
    }

    private static Credentials Another(Credentials than) => than with { Email = $"operator-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(3))}@nubabel.localhost" };
}
