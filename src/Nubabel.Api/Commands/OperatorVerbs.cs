using System.CommandLine;
using Nubabel.Api.Host;
using Nubabel.Api.Operators;
using Nubabel.Domain;

namespace Nubabel.Api.Commands;

/// <summary>Adds, lists and removes the people who run the platform. It needs the machine and its keys, so nobody does it over the network.</summary>
internal static class OperatorVerbs
{
    public static Command All() => new("operators", "The people who run the platform.") { Add(), List(), Remove() };

    private static Option<string> EmailOption() => new("--email") { Description = "The operator's e-mail address.", Required = true };

    private static Command Add()
    {
        var email = EmailOption();
        var add = new Command("add", "Add an operator. The password is read from standard input, so that it stands in no history and no process list.") { email };
        add.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            if (!Email.TryParse(parsed.GetValue(email), out var address)) return NoAddress();
            Password password;
            try
            {
                password = Password.Parse(await Prompt.Secret("Password: ", ct));
            }
            catch (Refused refused)
            {
                return Verbs.Fail(refused.Message);
            }
            await using var node = await Opened.Open(ct);
            using var passwords = new Passwords();
            try
            {
                var id = await OperatorsApi.Add(node.Node, node.SignIns, passwords, address, password, ct);
                Console.WriteLine($"Added operator {id}.");
                return 0;
            }
            catch (Refused refused) when (refused.Code == "operator.email_taken")
            {
                return Verbs.Fail("There is an operator with this e-mail address.");
            }
        }));
        return add;
    }

    private static Command List()
    {
        var all = new Option<bool>("--all") { Description = "Removed ones too." };
        var list = new Command("list", "Show the operators.") { all };
        list.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            await using var node = await Opened.Open(ct);
            foreach (var (account, address) in await OperatorsApi.All(node.Node, ct))
            {
                if (account.RemovedAt is not null && !parsed.GetValue(all)) continue;
                Console.WriteLine($"{account.Id}  {address ?? "(erased)",-40} added {account.AddedAt:yyyy-MM-dd HH:mm:ss}{account.RemovedAt:\", removed \"yyyy-MM-dd HH:mm:ss}");
            }
            return 0;
        }));
        return list;
    }

    private static Command Remove()
    {
        var email = EmailOption();
        var remove = new Command("remove", "Remove an operator, who is refused by every node within a second. The address may be added again, as another account.") { email };
        remove.SetAction((parsed, ct) => Verbs.Guarded(async () =>
        {
            if (!Email.TryParse(parsed.GetValue(email), out var address)) return NoAddress();
            await using var node = await Opened.Open(ct);
            try
            {
                Console.WriteLine($"Removed operator {await OperatorsApi.Remove(node.Node, node.SignIns, address, ct)}.");
                return 0;
            }
            catch (Refused refused) when (refused.Code == "operator.missing")
            {
                return Verbs.Fail("There is no operator with this e-mail address.");
            }
        }));
        return remove;
    }

    private static int NoAddress() => Verbs.Fail("This is not an e-mail address.");
}
